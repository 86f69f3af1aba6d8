"""IPAddress objects: one for each cluster IP that a Service has. They follow the Services.

Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/ip-address-v1/
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from knarr.api import registry
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds, names, service_families
from knarr.apiserver.context import Context
from knarr.apiserver.watch_cache import Change, Collection
from knarr.component_base.tasks import Tasks
from knarr.storage.store import KeyExistsError, StoreError

_MANAGER = "ipallocator.k8s.io"
#: Who owns the fields of such an object.
_WRITER = "kube-apiserver"
#: How long an address may wait for its Service when several servers write.
_GRACE = datetime.timedelta(seconds=60)
_LABEL = "ipaddress.kubernetes.io/managed-by"


class IPAddresses:
    """Makes and removes IPAddress objects; listens to the watch cache."""

    def __init__(self, ctx: Context, tasks: Tasks) -> None:
        self._ctx = ctx
        self._tasks = tasks
        self._scope = ctx.served.of(registry.IPADDRESSES)

    def on_change(self, collection: Collection, change: Change) -> None:
        """Follow a change of a Service."""
        if (collection.resource.plural, collection.resource.group) != ("services", ""):
            return
        before = set(_addresses(change.previous.decode())) if change.previous is not None else set()
        service = change.entry.decode()
        after = set() if change.deleted else set(_addresses(service))
        if before != after:
            self._tasks.start(self._follow(service, before - after, after - before), "ip-addresses")

    async def repair(self) -> None:
        """At start: make what is missing, remove what no Service has."""
        wanted: dict[str, Object] = {}
        for service in self._ctx.reader.list("services", ""):
            wanted.update(dict.fromkeys(_addresses(service), service))
        have = set()
        for item in list(self._ctx.reader.list("ipaddresses", "networking.k8s.io")):
            if (item["metadata"].get("labels") or {}).get(_LABEL) == _MANAGER:
                have.add(item["metadata"]["name"])
        for address in have - set(wanted):
            if not self._is_young(address):
                await self._remove(address)
        for address in set(wanted) - have:
            await self._make(address, wanted[address])

    async def _follow(self, service: Object, gone: set[str], new: set[str]) -> None:
        for address in gone:
            await self._remove(address)
        for address in new:
            await self._make(address, service)

    async def claim(self, address: str, service: Object) -> None:
        """Make the object of an address that a Service is about to have. Raises `KeyExistsError`."""
        meta = service["metadata"]
        wanted: Object = {
            "metadata": {
                "name": address,
                "labels": {"ipaddress.kubernetes.io/ip-family": service_families.family_of(address), _LABEL: _MANAGER},
                "creationTimestamp": timestamps.seconds(self._ctx.clock.now()),
                "uid": names.uid(),
                "generation": 1,
            },
            "spec": {
                "parentRef": {
                    "resource": "services",
                    "namespace": meta["namespace"],
                    "name": meta["name"],
                }
            },
        }
        obj, _ = kinds.normalise(self._scope.resource, wanted)
        if self._ctx.field_manager is not None:
            self._ctx.field_manager.update(self._scope.resource, obj, None, _WRITER, "")
        await self._ctx.writer.create(self._scope, self._scope.resource.key("", address), obj)

    async def release(self, address: str) -> None:
        """Remove the object of an address that no Service has; one that somebody made by hand stays."""
        item = self._ctx.reader.get("ipaddresses", "networking.k8s.io", "", address)
        if item is not None and (item["metadata"].get("labels") or {}).get(_LABEL) == _MANAGER:
            await self._remove(address)

    async def _make(self, address: str, service: Object) -> None:
        try:
            await self.claim(address, service)
        except KeyExistsError:
            # Somebody made it by hand, or a quick successor of the Service got the address: it stays.
            return

    def _is_young(self, address: str) -> bool:
        """Whether another server may be about to make the Service of an address."""
        item = self._ctx.reader.get("ipaddresses", "networking.k8s.io", "", address)
        if item is None or not self._ctx.shared_store:
            return False
        return timestamps.parse(item["metadata"]["creationTimestamp"]) + _GRACE > self._ctx.clock.now()

    async def _remove(self, address: str) -> None:
        entry = self._scope.keep.entries.get(self._scope.resource.key("", address))
        if entry is None:
            return
        try:
            await self._ctx.writer.delete(self._scope, entry)
        except StoreError:
            # Changed or gone meanwhile: the repair at the next start looks again.
            return


def _addresses(service: Object) -> Iterator[str]:
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName" or service_families.is_headless(spec):
        return
    for text in spec.get("clusterIPs") or ():
        if service_families.family_of(text) is not None:
            yield text
