from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from knarr.api.registry import CONFIGMAPS
from knarr.apimachinery.errors import StatusError, expired, forbidden
from knarr.apimachinery.types import Object
from knarr.component_base.clock import FakeClock
from knarr.kubelet.referenced import NotRead, Referenced
from knarr.kubelet.references import Reference

PATH = "/api/v1/namespaces/ns/configmaps/cm"
REFERENCE = Reference(CONFIGMAPS, "ns", "cm")


def pod(uid: str, *names: str) -> Object:
    volumes = [{"name": name, "configMap": {"name": name}} for name in names]
    return {"metadata": {"name": uid, "namespace": "ns", "uid": uid}, "spec": {"volumes": volumes}}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - any change may be the awaited one
            await asyncio.sleep(0)


def run(test: Callable[[Referenced, FakeClock], Any], server: Any) -> None:
    async def main() -> None:
        clock = FakeClock()
        referenced = Referenced(server.client, clock)
        await test(referenced, clock)
        await referenced.close()
        assert server.watches == 0

    asyncio.run(main())


def test_one_watch_an_object_for_all_pods_until_the_last_is_gone(server: Any) -> None:
    async def test(referenced: Referenced, _clock: FakeClock) -> None:
        server.put(PATH, {"data": {"k": "1"}})
        for uid in ("a", "b"):
            referenced.add(pod(uid, "cm"))
            assert (await referenced.get(*REFERENCE))["data"] == {"k": "1"}
        await until(lambda: server.watches == 1)
        assert [query for _, _, query in server.requests] == [{"fieldSelector": "metadata.name=cm", "limit": "500"}]
        referenced.remove("a")
        assert referenced.users(REFERENCE) == {"b"}
        referenced.add(pod("b"))
        await until(lambda: server.watches == 0)
        with pytest.raises(StatusError, match='object "ns"/"cm" not registered'):
            await referenced.get(*REFERENCE)

    run(test, server)


def test_changes_are_told_and_read(server: Any) -> None:
    async def test(referenced: Referenced, _clock: FakeClock) -> None:
        told: list[Reference] = []
        referenced.listen(told.append)
        referenced.add(pod("a", "cm"))
        with pytest.raises(StatusError, match='configmap "cm" not found'):
            await referenced.get(*REFERENCE)
        await until(lambda: server.watches == 1)
        server.put(PATH, {"data": {"k": "1"}})
        await until(lambda: len(told) == 1)
        assert (await referenced.get(*REFERENCE))["data"] == {"k": "1"}
        server.delete(PATH)
        await until(lambda: len(told) == 2)
        with pytest.raises(StatusError) as caught:
            await referenced.get(*REFERENCE)
        assert caught.value.code == 404

    run(test, server)


@pytest.mark.parametrize("error", [None, expired("too old"), ConnectionResetError("gone")])
def test_a_broken_watch_loses_no_change(server: Any, error: Exception | None) -> None:
    async def test(referenced: Referenced, clock: FakeClock) -> None:
        told: list[Reference] = []
        referenced.listen(told.append)
        server.put(PATH, {"data": {"k": "1"}})
        referenced.add(pod("a", "cm"))
        await referenced.get(*REFERENCE)
        await until(lambda: server.watches == 1)
        server.break_watches(error)
        await until(lambda: server.watches == 0)
        if error is None:
            clock.advance(1)
        else:
            server.objects[PATH] = {"metadata": {"uid": "u", "resourceVersion": "99"}, "data": {"k": "2"}}
            clock.advance(1)
            await until(lambda: told == [REFERENCE])
            assert (await referenced.get(*REFERENCE))["data"] == {"k": "2"}
        await until(lambda: server.watches == 1)

    run(test, server)


def test_a_refused_reading_is_tried_again_and_told_to_who_waits(server: Any) -> None:
    async def test(referenced: Referenced, clock: FakeClock) -> None:
        server.refuse = [forbidden("configmaps", "", "cm", "no relationship found")]
        server.put(PATH, {"data": {"k": "1"}})
        referenced.add(pod("a", "cm"))
        reading = asyncio.ensure_future(referenced.get(*REFERENCE))
        await until(lambda: len(server.requests) == 1 and not server.refuse)
        await asyncio.sleep(0)
        server.refuse = [forbidden("configmaps", "", "cm", "no relationship found")] * 9
        for _ in range(60):
            clock.advance(0.1)
            await asyncio.sleep(0)
        with pytest.raises(NotRead, match="failed to sync configmap cache.*no relationship found"):
            await reading
        server.refuse = []
        clock.advance(10)
        assert (await referenced.get(*REFERENCE))["data"] == {"k": "1"}

    run(test, server)


def test_what_cannot_change_is_not_watched(server: Any) -> None:
    async def test(referenced: Referenced, _clock: FakeClock) -> None:
        server.put(PATH, {"data": {"k": "1"}, "immutable": True})
        referenced.add(pod("a", "cm"))
        await referenced.get(*REFERENCE)
        for _ in range(10):
            await asyncio.sleep(0)
        assert server.watches == 0

    run(test, server)
