"""What a node's proxy knows, as watches show it, and the ruleset that follows from it.

Input: Services, EndpointSlices and the node's own Node, as they come and go. Output: a `Ruleset` and the UDP
destinations. Only what has changed is computed anew. Pure. Invariant: `changed` is true exactly when `take` may give
something other than before.
"""

from __future__ import annotations

from dataclasses import replace

from knarr.apimachinery.types import Object
from knarr.proxy.flows import Destinations, destinations
from knarr.proxy.ruleset import Layout, Part, Ruleset, build, service_part
from knarr.proxy.services import Place, ServicePort, served, service_key, service_ports

ZONE_LABEL = "topology.kubernetes.io/zone"

_Key = tuple[str, str]


class State:
    """Services with their slices, and what each adds to the ruleset."""

    def __init__(self, place: Place, layout: Layout) -> None:
        self._place = place
        self._layout = layout
        self._services: dict[_Key, Object] = {}
        #: Slices by the Service they belong to, then by their own name.
        self._slices: dict[_Key, dict[str, Object]] = {}
        self._ports: dict[_Key, tuple[ServicePort, ...]] = {}
        self._parts: dict[_Key, Part] = {}
        self._dirty: set[_Key] = set()

    @property
    def changed(self) -> bool:
        """Whether anything has come in since the last `take`."""
        return bool(self._dirty)

    def on_service(self, old: Object | None, new: Object | None) -> None:
        """A Service was created (`old` is none), changed, or deleted (`new` is none)."""
        named = new if new is not None else old
        if named is None:
            return
        key = _key(named)
        if new is not None and served(new):
            if (before := self._services.get(key)) is not None and _same(before, new):
                return
            self._services[key] = new
        elif self._services.pop(key, None) is None:
            return
        self._dirty.add(key)

    def on_slice(self, old: Object | None, new: Object | None) -> None:
        """An EndpointSlice was created, changed, or deleted."""
        before = service_key(old) if old is not None else None
        after = service_key(new) if new is not None else None
        if before is not None and before != after and old is not None:
            self._drop(before, old["metadata"]["name"])
        if after is not None and new is not None:
            self._slices.setdefault(after, {})[new["metadata"]["name"]] = new
            self._dirty.add(after)

    def on_node(self, old: Object | None, new: Object | None) -> None:
        """The own Node was created, changed, or deleted: its zone decides which endpoints are near."""
        zone = ((new or {}).get("metadata", {}).get("labels") or {}).get(ZONE_LABEL, "")
        if zone != self._place.zone:
            self._place = replace(self._place, zone=zone)
            self._dirty |= self._services.keys()

    def take(self) -> tuple[Ruleset, Destinations]:
        """The ruleset and the UDP destinations now."""
        for key in self._dirty:
            self._compute(key)
        self._dirty.clear()
        ordered = sorted(self._parts)
        ports = (port for key in ordered for port in self._ports[key])
        return build((self._parts[key] for key in ordered), self._layout), destinations(ports)

    def _compute(self, key: _Key) -> None:
        service = self._services.get(key)
        if service is None:
            self._ports.pop(key, None)
            self._parts.pop(key, None)
            return
        slices = self._slices.get(key, {})
        ordered = [slices[name] for name in sorted(slices)]
        self._ports[key] = service_ports(service, ordered, self._place, ipv6=self._layout.ipv6)
        self._parts[key] = service_part(self._ports[key], self._layout)

    def _drop(self, service: _Key, name: str) -> None:
        slices = self._slices.get(service, {})
        slices.pop(name, None)
        if not slices:
            self._slices.pop(service, None)
        self._dirty.add(service)


def _key(obj: Object) -> _Key:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _same(before: Object, after: Object) -> bool:
    """Whether nothing has changed that the ruleset depends on (annotations and conditions do not)."""
    return before.get("spec") == after.get("spec") and _balancer(before) == _balancer(after)


def _balancer(service: Object) -> Object:
    return (service.get("status") or {}).get("loadBalancer") or {}
