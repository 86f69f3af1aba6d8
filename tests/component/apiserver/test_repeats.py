"""A GET that is sent again is answered from what is known of it, and yet as of now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.component.apiserver.world import NAMESPACE, World, config_map, pod, running

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.apiserver.repeats import Repeat
from knarr.client.client import Client
from knarr.client.http import tls_context
from knarr.component_base.certificates import Leaf
from knarr.component_base.clock import RealClock
from knarr.component_base.kubeconfig import Access

MERGE = "application/merge-patch+json"


@pytest.fixture
def repeated(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each answer that a `Repeat` was asked for came from it."""
    seen: list[bool] = []
    call = Repeat.__call__

    def noting(self: Repeat) -> bytes | None:
        answer = call(self)
        seen.append(answer is not None)
        return answer

    monkeypatch.setattr(Repeat, "__call__", noting)
    return seen


def told(tmp_path: Path, story: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            await story(world)

    asyncio.run(main())


async def value(client: Client) -> Any:
    return (await client.get(registry.CONFIGMAPS, "a", NAMESPACE))["data"]["k"]


async def status(client: Client) -> int:
    try:
        await client.get(registry.CONFIGMAPS, "a", NAMESPACE)
    except StatusError as error:
        return error.code
    return 200


def test_it_shows_what_has_changed_since(tmp_path: Path, repeated: list[bool]) -> None:
    async def story(world: World) -> None:
        admin = world.client()
        await admin.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
        assert [await value(admin) for _ in range(2)] == ["0", "0"]
        await admin.patch(registry.CONFIGMAPS, "a", {"data": {"k": "1"}}, NAMESPACE, content_type=MERGE)
        assert await value(admin) == "1"
        assert repeated == [True, True]
        await admin.patch(registry.CONFIGMAPS, "a", {"data": {"k": "x" * 200_000}}, NAMESPACE, content_type=MERGE)
        assert len(await value(admin)) == 200_000
        await admin.delete(registry.CONFIGMAPS, "a", NAMESPACE)
        assert await status(admin) == 404
        await admin.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
        assert await value(admin) == "0"

    told(tmp_path, story)


def test_who_may_no_longer_is_refused(tmp_path: Path, repeated: list[bool]) -> None:
    async def story(world: World) -> None:
        admin = world.client()
        await admin.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
        reader = world.client("jane", "readers")
        assert await status(reader) == 403
        role = {
            "metadata": {"name": "r"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
        }
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
        binding = {
            "metadata": {"name": "b"},
            "roleRef": ref,
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}],
        }
        await admin.create(registry.ROLES, role, NAMESPACE)
        await admin.create(registry.ROLEBINDINGS, binding, NAMESPACE)
        assert [await status(reader) for _ in range(3)] == [200, 200, 200]
        assert repeated == [True, True]
        # The same bytes from somebody else are another request.
        assert await status(world.client("john", "writers")) == 403
        await admin.delete(registry.ROLEBINDINGS, "b", NAMESPACE)
        assert await status(reader) == 403

    told(tmp_path, story)


def test_it_is_counted_and_has_an_id_of_its_own(tmp_path: Path, repeated: list[bool]) -> None:
    async def story(world: World) -> None:
        await world.client().create(registry.PODS, pod("p"), NAMESPACE)
        answers = await heads(world, f"/api/v1/namespaces/{NAMESPACE}/pods/p", 3)
        assert repeated == [True, True]
        ids = [next(line for line in head if line.startswith(b"Audit-Id: ")) for head in answers]
        assert len(set(ids)) == 3
        rests = [sorted(line for line in head if line != own) for head, own in zip(answers, ids, strict=True)]
        assert rests[0] == rests[1] == rests[2]
        row = b'apiserver_request_total{verb="GET",group="",version="v1",resource="pods",subresource="",'
        counted = [each for each in world.api.ctx.metrics.registry.text().splitlines() if each.startswith(row)]
        assert [each.rsplit(b" ", 1)[1] for each in counted] == [b"3"]

    told(tmp_path, story)


async def heads(world: World, path: str, count: int) -> list[list[bytes]]:
    """The lines of the heads of answers to the same GET on one connection."""
    pair = world.authority.issue(Leaf("admin", ("system:masters",), client=True), RealClock().now())
    access = Access(world.url, world.authority.certificate, pair.certificate, pair.key)
    port = urlsplit(world.url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls_context(access))
    found = []
    for _ in range(count):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).splitlines()
        length = next(line for line in head if line.startswith(b"Content-Length: "))
        await reader.readexactly(int(length.split(b" ")[1]))
        found.append(head)
    writer.close()
    await writer.wait_closed()
    return found
