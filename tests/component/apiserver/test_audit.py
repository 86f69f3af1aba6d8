"""The audit log of a server: stages, levels, and who is named."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.component.apiserver.world import NAMESPACE, World, config_map, running

from knarr.api import protobuf, registry
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.audit.auditor import Auditor
from knarr.apiserver.audit.policy import parse
from knarr.component_base.clock import RealClock
from knarr.component_base.http import Request

_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"


class _Events(list[Object]):
    """What was written down; `ended` once an answer is complete."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()

    def write(self, event: Object) -> None:
        self.append(dict(event))
        if event["stage"] == "ResponseComplete":
            self.ended.set()


def _audited(world: World, *rules: Object, **more: Any) -> _Events:
    """Have requests written down; gives where."""
    policy = parse({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **more})
    found = _Events()
    world.api.ctx.auditor = Auditor(policy, found.write, RealClock())
    return found


def test_levels_and_stages_of_a_write(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as world:
            found = _audited(world, {"level": "RequestResponse", "verbs": ["create"]})
            client = world.client()
            made = await client.create(registry.CONFIGMAPS, config_map("one", a="b"), NAMESPACE)
            first, last = found
            assert first["auditID"] == last["auditID"] and first["stage"] == "RequestReceived"
            assert "requestObject" not in first and "responseStatus" not in first
            assert last["stage"] == "ResponseComplete" and last["responseStatus"]["code"] == 201
            assert last["verb"] == "create" and last["requestURI"].startswith(_MAPS)
            assert last["objectRef"] == {
                "resource": "configmaps",
                "namespace": NAMESPACE,
                "name": "one",
                "apiVersion": "v1",
            }
            assert last["requestObject"]["data"] == {"k": "0"}
            auditor = world.api.ctx.auditor
            assert auditor is not None
            told = "\n".join(line for family in auditor.metrics.families for line in family.lines())
            assert "apiserver_audit_event_total 2" in told
            assert 'apiserver_audit_level_total{level="RequestResponse"} 1' in told
            assert last["responseObject"]["metadata"]["uid"] == made["metadata"]["uid"]
            assert last["user"]["username"] == "admin" and last["sourceIPs"] == ["127.0.0.1"]
            assert last["annotations"]["authorization.k8s.io/decision"] == "allow"
            assert first["stageTimestamp"] <= last["stageTimestamp"]
            await client.get(registry.CONFIGMAPS, "one", NAMESPACE)
            assert len(found) == 2

    asyncio.run(story())


def test_metadata_tells_no_contents(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as world:
            found = _audited(world, {"level": "Metadata"}, omitStages=["RequestReceived"])
            await world.client().create(registry.CONFIGMAPS, config_map("one", a="b"), NAMESPACE)
            (event,) = found
            assert event["objectRef"]["name"] == "one"
            assert not {"requestObject", "responseObject"} & event.keys()

    asyncio.run(story())


def test_refusals_say_why(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as world:
            found = _audited(world, {"level": "Metadata"}, omitStages=["RequestReceived"])
            for client, wanted in ((world.client("jane"), 403), (world.bearer("nonsense"), 401)):
                try:
                    await client.get(registry.CONFIGMAPS, "one", NAMESPACE)
                except StatusError as error:
                    assert error.code == wanted
            forbidden, unknown = found
            assert forbidden["annotations"]["authorization.k8s.io/decision"] == "forbid"
            assert forbidden["responseStatus"]["reason"] == "Forbidden"
            assert unknown["user"] == {} and unknown["stage"] == "ResponseStarted"
            assert unknown["responseStatus"]["message"] == "Authentication failed, attempted: bearer"

    asyncio.run(story())


def test_impersonation_names_both(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as world:
            found = _audited(world, {"level": "Metadata"}, omitStages=["RequestReceived"])
            request = Request("GET", _MAPS, {}, {"impersonate-user": "jane", "audit-id": "mine"})
            request.peer = ("admin", ("system:masters",))
            answer = await world.api.handler(request)
            assert answer.status == 403 and answer.headers["Audit-Id"] == "mine"
            (event,) = found
            assert event["user"]["username"] == "admin" and event["impersonatedUser"]["username"] == "jane"
            assert event["auditID"] == "mine"
            assert event["authenticationMetadata"] == {"impersonationConstraint": "impersonate:user-info"}

    asyncio.run(story())


def test_a_watch_has_a_beginning_and_an_end(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as world:
            found = _audited(world, {"level": "RequestResponse", "verbs": ["watch"]})
            client = world.client()
            stream = client.watch(registry.CONFIGMAPS, NAMESPACE)
            await client.create(registry.CONFIGMAPS, config_map("one"), NAMESPACE)
            assert (await anext(stream)).object["metadata"]["name"]
            assert [event["stage"] for event in found] == ["RequestReceived", "ResponseStarted"]
            await stream.aclose()
            async with asyncio.timeout(90):
                await found.ended.wait()
            assert found[2]["stage"] == "ResponseComplete" and "responseObject" not in found[2]

    asyncio.run(story())


def test_what_comes_as_protobuf_is_written_down_as_json_has_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as world:
            found = _audited(world, {"level": "RequestResponse"}, omitStages=["RequestReceived"])
            obj: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"k": "0"}}
            media = "application/vnd.kubernetes.protobuf"
            # As Go writes it: empty members of the metadata are sent, too.
            sent = protobuf.encode({**obj, "metadata": {"name": "one", "generateName": "", "namespace": ""}})
            request = Request("POST", _MAPS, {}, {"content-type": media, "accept": media}, sent)
            request.peer = ("admin", ("system:masters",))
            assert (await world.api.handler(request)).status == 201
            (event,) = found
            assert event["requestObject"] == obj
            assert event["responseObject"]["data"] == {"k": "0"}
            assert "generateName" not in event["responseObject"]["metadata"]

    asyncio.run(story())
