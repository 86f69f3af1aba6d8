"""What DNS knows of the cluster: Services, EndpointSlices and namespaces, indexed by name and by address.

Input: objects as they come and go. Output: lookups. Invariant: `generation` grows with every change, so that an
answer computed at one generation is valid for as long as it stands.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from knarr.apimachinery.types import Object

_SERVICE_NAME = "kubernetes.io/service-name"

Key = tuple[str, str]


class Port(NamedTuple):
    """A named port: `protocol` in lower case."""

    name: str
    protocol: str
    port: int


class ServiceEntry(NamedTuple):
    """What DNS needs of a Service. `addresses` is empty for headless ones."""

    addresses: tuple[str, ...]
    ports: tuple[Port, ...]
    external_name: str
    headless: bool


class EndpointEntry(NamedTuple):
    """One ready address behind a Service; `label` is its host name, or the address with dashes."""

    address: str
    label: str
    ports: tuple[Port, ...]


def dashed(address: str) -> str:
    """An address as a DNS label: `10-42-0-5`, `fd00--1`."""
    return address.replace(".", "-").replace(":", "-")


class View:
    """The index. `put_*` and `drop_*` take API objects."""

    def __init__(self) -> None:
        self.generation = 0
        self._namespaces: set[str] = set()
        self._services: dict[Key, ServiceEntry] = {}
        self._slices: dict[Key, tuple[Key, tuple[EndpointEntry, ...]]] = {}
        self._by_service: dict[Key, dict[Key, tuple[EndpointEntry, ...]]] = {}
        self._service_ips: dict[str, Key] = {}
        self._endpoint_ips: dict[str, dict[tuple[Key, str], int]] = {}

    def put_namespace(self, obj: Object) -> None:
        """A namespace exists."""
        self._namespaces.add(obj["metadata"]["name"])
        self.generation += 1

    def drop_namespace(self, obj: Object) -> None:
        """A namespace is gone."""
        self._namespaces.discard(obj["metadata"]["name"])
        self.generation += 1

    def put_service(self, obj: Object) -> None:
        """A Service was added or changed."""
        key = _key(obj)
        self._forget_service(key)
        entry = self._services[key] = _service(obj)
        for address in entry.addresses:
            self._service_ips[address] = key
        self.generation += 1

    def drop_service(self, obj: Object) -> None:
        """A Service is gone."""
        self._forget_service(_key(obj))
        self.generation += 1

    def put_slice(self, obj: Object) -> None:
        """An EndpointSlice was added or changed."""
        self._forget_slice(_key(obj))
        name = (obj["metadata"].get("labels") or {}).get(_SERVICE_NAME)
        if name and obj.get("addressType") != "FQDN":
            service = (obj["metadata"].get("namespace", ""), name)
            entries = tuple(_endpoints(obj))
            self._slices[_key(obj)] = (service, entries)
            self._by_service.setdefault(service, {})[_key(obj)] = entries
            for entry in entries:
                names = self._endpoint_ips.setdefault(entry.address, {})
                names[(service, entry.label)] = names.get((service, entry.label), 0) + 1
        self.generation += 1

    def drop_slice(self, obj: Object) -> None:
        """An EndpointSlice is gone."""
        self._forget_slice(_key(obj))
        self.generation += 1

    def has_namespace(self, name: str) -> bool:
        """Whether a namespace exists."""
        return name in self._namespaces

    def service(self, namespace: str, name: str) -> ServiceEntry | None:
        """A Service by name."""
        return self._services.get((namespace, name))

    def endpoints(self, namespace: str, name: str) -> tuple[EndpointEntry, ...]:
        """The ready endpoints of a Service, ordered by slice."""
        slices = self._by_service.get((namespace, name), {})
        return tuple(entry for key in sorted(slices) for entry in slices[key])

    def service_at(self, address: str) -> Key | None:
        """The Service with this cluster IP."""
        return self._service_ips.get(address)

    def endpoints_at(self, address: str) -> list[tuple[Key, str]]:
        """(Service, label) of every endpoint with this address."""
        return sorted(self._endpoint_ips.get(address, {}))

    def _forget_service(self, key: Key) -> None:
        old = self._services.pop(key, None)
        for address in old.addresses if old else ():
            if self._service_ips.get(address) == key:
                del self._service_ips[address]

    def _forget_slice(self, key: Key) -> None:
        old = self._slices.pop(key, None)
        if old is None:
            return
        service, entries = old
        slices = self._by_service[service]
        del slices[key]
        if not slices:
            del self._by_service[service]
        for entry in entries:
            names = self._endpoint_ips[entry.address]
            names[(service, entry.label)] -= 1
            if not names[(service, entry.label)]:
                del names[(service, entry.label)]
            if not names:
                del self._endpoint_ips[entry.address]


def _key(obj: Object) -> Key:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _ports(ports: Iterable[Object]) -> tuple[Port, ...]:
    return tuple(
        Port(port.get("name") or "", port.get("protocol", "TCP").lower(), port["port"])
        for port in ports
        if port.get("port") is not None
    )


def _service(obj: Object) -> ServiceEntry:
    spec = obj.get("spec", {})
    if spec.get("type") == "ExternalName":
        return ServiceEntry((), (), spec.get("externalName", "").rstrip(".").lower(), headless=False)
    address = spec.get("clusterIP") or ""
    headless = address == "None"
    addresses = () if headless or not address else tuple(spec.get("clusterIPs") or [address])
    return ServiceEntry(addresses, _ports(spec.get("ports") or ()), "", headless=headless)


def _endpoints(obj: Object) -> Iterable[EndpointEntry]:
    ports = _ports(obj.get("ports") or ())
    for endpoint in obj.get("endpoints") or ():
        ready = (endpoint.get("conditions") or {}).get("ready")
        if ready is False:
            continue
        for text in endpoint["addresses"]:
            address = str(ipaddress.ip_address(text))
            yield EndpointEntry(address, (endpoint.get("hostname") or dashed(address)).lower(), ports)
