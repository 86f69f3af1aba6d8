"""Mirrors Endpoints that people write for Services without a selector into EndpointSlices.

Input: Endpoints, their Service, the slices mirrored so far. Output: the fewest writes that make the slices agree.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from knarr.api.registry import ENDPOINTS, ENDPOINTSLICES, SERVICES
from knarr.api.semantics import slice_plan
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import About
from knarr.controller_runtime import slice_changes
from knarr.controller_runtime.changes import DONE, Change, Context, EventNote, Result
from knarr.controller_runtime.controller import Controller, Watch, itself
from knarr.controller_runtime.observing import tally
from knarr.controller_runtime.snapshot import SERVICE, Key, Snapshot

_MANAGER = "endpointslicemirroring-controller.k8s.io"
_MANAGED_BY, _SERVICE = "endpointslice.kubernetes.io/managed-by", "kubernetes.io/service-name"
_SKIP, _LEADER = "endpointslice.kubernetes.io/skip-mirror", "control-plane.alpha.kubernetes.io/leader"
_LAST_APPLIED, _TRIGGER = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "endpoints.kubernetes.io/last-change-trigger-time",
)
_CHANGES = About("endpoint_slice_mirroring_controller_changes", "Number of EndpointSlice changes", ("operation",))
#: Addresses mirrored of a subset, and in a slice.
_LIMIT = 1000
_TOO_MANY = (
    f"A max of {_LIMIT} addresses can be mirrored to EndpointSlices per Endpoints subset. {{}} addresses were skipped"
)


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Mirror one Endpoints object."""
    endpoints = snapshot.get(*key)
    service = snapshot.get(SERVICES, key.namespace, key.name)
    existing = list(_slices(key, snapshot))
    if endpoints is None or service is None or not _is_mirrored(endpoints, service):
        return Result(tuple(slice_changes.deletions(existing)))
    changes: list[Change] = []
    for address_type in ("IPv4", "IPv6"):
        mine = [item for item in existing if item["addressType"] == address_type]
        desired = _desired(endpoints, address_type)
        if not desired:
            changes += slice_changes.deletions(mine)
            continue
        plan = slice_plan.plan(_head(endpoints, address_type), mine, desired)
        changes += slice_changes.changes(plan, endpoints, ENDPOINTS, context.names)
    if not changes:
        return DONE
    return Result(tuple(changes), _notes(endpoints), ticks=slice_changes.ticks(_CHANGES, changes))


def _notes(endpoints: Object) -> tuple[EventNote, ...]:
    """What is told of addresses that are left out."""
    sizes = (len([*_addresses(subset)]) for subset in endpoints.get("subsets") or ())
    skipped = sum(max(0, size - _LIMIT) for size in sizes)
    if not skipped:
        return ()
    return (EventNote(endpoints, "Warning", "TooManyAddressesToMirror", _TOO_MANY.format(skipped)),)


def _is_mirrored(endpoints: Object, service: Object) -> bool:
    meta = endpoints["metadata"]
    if service["spec"].get("selector") or (meta.get("labels") or {}).get(_SKIP) == "true":
        return False
    return _LEADER not in (meta.get("annotations") or {})


def _slices(key: Key, snapshot: Snapshot) -> Iterable[Object]:
    for item in snapshot.indexed(ENDPOINTSLICES, SERVICE, f"{key.namespace}/{key.name}"):
        if item["metadata"]["labels"].get(_MANAGED_BY) == _MANAGER:
            yield item


def _desired(endpoints: Object, address_type: str) -> dict[slice_plan.Ports, list[Object]]:
    version = 6 if address_type == "IPv6" else 4
    desired: dict[slice_plan.Ports, list[Object]] = {}
    for subset in endpoints.get("subsets") or ():
        ports = slice_plan.ports_key([{"name": "", **port} for port in subset.get("ports") or ()])
        mirrored = list(_addresses(subset))[:_LIMIT]
        fitting = [item for item in mirrored if ipaddress.ip_address(item[0]["ip"]).version == version]
        if fitting:
            desired.setdefault(ports, []).extend(_endpoint(address, ready=ready) for address, ready in fitting)
    return {ports: found[:_LIMIT] for ports, found in desired.items()}


def _addresses(subset: Object) -> Iterator[tuple[Object, bool]]:
    """The addresses of a subset, each with whether it is ready."""
    for name, ready in (("addresses", True), ("notReadyAddresses", False)):
        for address in subset.get(name) or ():
            yield address, ready


def _endpoint(address: Object, *, ready: bool) -> Object:
    found: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    return found | {field: address[field] for field in ("hostname", "nodeName", "targetRef") if address.get(field)}


def _head(endpoints: Object, address_type: str) -> slice_plan.Head:
    meta = endpoints["metadata"]
    labels = {**(meta.get("labels") or {}), _SERVICE: meta["name"], _MANAGED_BY: _MANAGER}
    dropped = (_LAST_APPLIED, _TRIGGER)
    annotations = {name: value for name, value in (meta.get("annotations") or {}).items() if name not in dropped}
    return slice_plan.Head(address_type, f"{meta['name']}-", {"labels": labels, "annotations": annotations}, _LIMIT)


def _of_service(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    meta = (new or old or {})["metadata"]
    return [Key(ENDPOINTS, meta["namespace"], meta["name"])]


def _of_slice(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    for item in (old, new):
        meta = item["metadata"] if item is not None else {}
        labels = meta.get("labels") or {}
        if labels.get(_MANAGED_BY) == _MANAGER and labels.get(_SERVICE):
            yield Key(ENDPOINTS, meta["namespace"], labels[_SERVICE])


CONTROLLER = Controller(
    name="endpointslicemirroring-controller",
    queue="endpoint_slice_mirroring",
    observer=tally(_CHANGES),
    resource=ENDPOINTS,
    watches=(
        Watch(ENDPOINTS, itself(ENDPOINTS)),
        Watch(SERVICES, _of_service),
        Watch(ENDPOINTSLICES, _of_slice),
    ),
    writes=("create, update, delete endpointslices",),
    reconcile=reconcile,
)
