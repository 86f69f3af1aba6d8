"""The DNS server over watches: not before they have synced, then as they say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from knarr.api.registry import NAMESPACES, SERVICES, resource
from knarr.api.resources import Resource
from knarr.dns.records import Zone, answer
from knarr.dns.run import DnsServer, Settings

SLICES = resource("endpointslices", "discovery.k8s.io")
ZONE = Zone("cluster.local", "10.43.0.10")


class Watch:
    def __init__(self) -> None:
        self.synced = asyncio.Event()
        self.tell: Callable[[Any, Any], None] = lambda old, new: None

    def listen(self, callback: Callable[[Any, Any], None], /) -> None:
        self.tell = callback


class World:
    def __init__(self) -> None:
        self.watches: dict[Resource, Watch] = {}

    def add(
        self, one: Resource, /, *, namespace: str = "", field_selector: str = "", label_selector: str = ""
    ) -> Watch:
        return self.watches.setdefault(one, Watch())


def test_names_follow_the_watches() -> None:
    world = World()
    server = DnsServer(world, Settings((), ZONE, Path("/nonexistent")))
    world.watches[NAMESPACES].tell(None, {"metadata": {"name": "ns"}})
    service = {"metadata": {"name": "web", "namespace": "ns"}, "spec": {"clusterIP": "10.43.0.7", "ports": []}}
    world.watches[SERVICES].tell(None, service)
    for watch in world.watches.values():
        assert not server.is_ready()
        watch.synced.set()
    assert server.is_ready()
    found = answer("web.ns.svc.cluster.local", "A", server.view, ZONE)
    assert found is not None
    assert [record.data for record in found.answers] == ["10.43.0.7"]
    world.watches[SERVICES].tell(service, None)
    gone = answer("web.ns.svc.cluster.local", "A", server.view, ZONE)
    assert gone is not None
    assert not gone.found
