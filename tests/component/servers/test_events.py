"""Events on an etcd end there, by a lease."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.component.apiserver.world import NAMESPACE, running
from tests.etcd import Etcd, folder, needs_etcd

from knarr.api import registry
from knarr.apimachinery.types import Object
from knarr.apiserver import writer
from knarr.storage.etcd.store import EtcdStore

pytestmark = needs_etcd


def event(name: str) -> Object:
    about = {"kind": "Pod", "namespace": NAMESPACE, "name": "p"}
    return {"metadata": {"name": name}, "involvedObject": about, "reason": "Testing", "type": "Normal"}


def test_an_event_ends_some_time_after_its_last_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(writer.LIFETIMES, "events", 2)

    async def main(etcd: Etcd) -> None:
        store = await EtcdStore.open(etcd.endpoint, period=0)
        async with running(tmp_path, store, shared=True) as world, asyncio.timeout(90):
            client = world.client()
            made = await client.create(registry.EVENTS, event("e"), NAMESPACE)
            loop = asyncio.get_running_loop()
            began = loop.time()
            await client.patch(registry.EVENTS, "e", {"count": 2}, NAMESPACE)
            start = made["metadata"]["resourceVersion"]
            async with aclosing(client.watch(registry.EVENTS, NAMESPACE, resourceVersion=start)) as watching:
                seen = [(await anext(watching)) for _ in range(2)]
            assert [one.type for one in seen] == ["MODIFIED", "DELETED"]
            assert seen[1].object["count"] == 2
            assert loop.time() - began >= 2
            await client.get(registry.CONFIGMAPS, "extension-apiserver-authentication", "kube-system")

    with folder() as path:
        etcd = Etcd(path)
        try:
            etcd.start()
            asyncio.run(main(etcd))
        finally:
            etcd.kill()
