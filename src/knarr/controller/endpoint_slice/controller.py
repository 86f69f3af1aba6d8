"""EndpointSlices of one Service.

Input: a Service with a selector, the pods of its namespace, their nodes, its slices. Output: the fewest writes that
make the slices tell the truth.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import ENDPOINTSLICES, NODES, PODS, SERVICES
from knarr.api.semantics import owners, pod_state, service_endpoints, slice_plan
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import About
from knarr.controller.endpoint_slice import endpoints, topology, triggers
from knarr.controller_runtime import slice_changes
from knarr.controller_runtime.changes import DONE, Change, Context, EventNote, Result, Tick
from knarr.controller_runtime.controller import Controller, Watch, itself, key_of
from knarr.controller_runtime.observing import tally
from knarr.controller_runtime.service_watches import services_of_pod
from knarr.controller_runtime.snapshot import NODE, SERVICE, Key, Snapshot

MANAGER = "endpointslice-controller.k8s.io"
_MANAGED_BY, _SERVICE = "endpointslice.kubernetes.io/managed-by", "kubernetes.io/service-name"
_CHANGES = About("endpoint_slice_controller_changes", "Number of EndpointSlice changes", ("operation",))
_SYNCS = About("endpoint_slice_controller_syncs", "Number of EndpointSlice syncs", ("result",))
_RESERVED = frozenset({_MANAGED_BY, _SERVICE, service_endpoints.HEADLESS})


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Make a Service's slices tell which pods are behind it."""
    service = snapshot.get(*key)
    if service is None or not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
        return DONE
    types = endpoints.address_types(service)
    mine = [item for item in _slices(service, snapshot) if not item["metadata"].get("deletionTimestamp")]
    # Slices of a Service of the same name that is gone would send its clients astray until they are collected.
    unfit = [item for item in mine if item["addressType"] not in types or not owners.is_controlled_by(item, service)]
    changes, notes = slice_changes.deletions(unfit), list[EventNote]()
    for address_type in types:
        existing = [item for item in mine if item["addressType"] == address_type and item not in unfit]
        made, told = _of_type(service, address_type, existing, snapshot, context)
        changes += made
        notes += told
    ticks = (*slice_changes.ticks(_CHANGES, changes), Tick(_SYNCS, ("success",)))
    return Result(tuple(changes), tuple(notes) if changes else (), ticks=ticks)


def _of_type(
    service: Object, address_type: str, existing: list[Object], snapshot: Snapshot, context: Context
) -> tuple[list[Change], tuple[EventNote, ...]]:
    desired = _desired(service, address_type, snapshot)
    by_zone, had_hints = topology.is_asked(service), topology.has_hints(existing)
    if by_zone:
        topology.with_hints_of(existing, desired)
    plan = slice_plan.plan(_head(service, address_type), existing, desired)
    notes: tuple[EventNote, ...] = ()
    if by_zone:
        notes = topology.apply(plan, existing, snapshot.list(NODES), service)
    elif had_hints and not service["spec"].get("trafficDistribution"):
        notes = (topology.disabled(service, address_type),)
    if plan.create or plan.update:
        triggers.note(plan, existing, service, _ready_times(service, snapshot))
    return slice_changes.changes(plan, service, SERVICES, context.names), notes


def _desired(service: Object, address_type: str, snapshot: Snapshot) -> dict[slice_plan.Ports, list[Object]]:
    desired: dict[slice_plan.Ports, list[Object]] = {}
    for pod in _pods(service, snapshot):
        address = service_endpoints.address_of_type(pod, address_type)
        node = snapshot.get(NODES, "", pod["spec"].get("nodeName") or "")
        if address is None or (node is None and not service["spec"].get("publishNotReadyAddresses")):
            continue
        found = endpoints.endpoint(service, pod, node, address)
        desired.setdefault(endpoints.ports(service, pod), []).append(found)
    return desired


def _ready_times(service: Object, snapshot: Snapshot) -> dict[str, str]:
    """When each pod became ready, or ceased to be, by uid."""
    found = ((pod["metadata"]["uid"], pod_state.ready_condition(pod)) for pod in _pods(service, snapshot))
    return {uid: since for uid, ready in found if ready is not None and (since := ready.get("lastTransitionTime"))}


def _pods(service: Object, snapshot: Snapshot) -> Iterable[Object]:
    for pod in snapshot.list(PODS, service["metadata"]["namespace"]):
        if service_endpoints.selects(service, pod) and service_endpoints.counts(pod, terminating=True):
            yield pod


def _slices(service: Object, snapshot: Snapshot) -> Iterable[Object]:
    meta = service["metadata"]
    for item in snapshot.indexed(ENDPOINTSLICES, SERVICE, f"{meta['namespace']}/{meta['name']}"):
        if item["metadata"]["labels"].get(_MANAGED_BY) == MANAGER:
            yield item


def _head(service: Object, address_type: str) -> slice_plan.Head:
    meta = service["metadata"]
    labels = {name: value for name, value in (meta.get("labels") or {}).items() if name not in _RESERVED}
    if service_endpoints.is_headless(service):
        labels[service_endpoints.HEADLESS] = ""
    labels |= {_SERVICE: meta["name"], _MANAGED_BY: MANAGER}
    return slice_plan.Head(address_type, f"{meta['name']}-", {"labels": labels})


def _service_of_slice(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    for item in (old, new):
        meta = item["metadata"] if item is not None else {}
        labels = meta.get("labels") or {}
        if labels.get(_SERVICE) and labels.get(_MANAGED_BY) == MANAGER:
            yield Key(SERVICES, meta["namespace"], labels[_SERVICE])


def _services_of_node(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A node that comes, goes, or changes its zone concerns the Services of its pods, and those that count CPUs."""
    if topology.weight(old) != topology.weight(new):
        for service in snapshot.list(SERVICES):
            if topology.is_asked(service):
                yield key_of(SERVICES, service)
    if old is not None and new is not None and old["metadata"].get("labels") == new["metadata"].get("labels"):
        return
    for pod in snapshot.indexed(PODS, NODE, (new or old or {})["metadata"]["name"]):
        for service in snapshot.list(SERVICES, pod["metadata"]["namespace"]):
            if service_endpoints.selects(service, pod):
                yield key_of(SERVICES, service)


CONTROLLER = Controller(
    name="endpointslice-controller",
    queue="endpoint_slice",
    observer=tally(_CHANGES, _SYNCS),
    resource=SERVICES,
    watches=(
        Watch(SERVICES, itself(SERVICES)),
        Watch(PODS, services_of_pod),
        Watch(ENDPOINTSLICES, _service_of_slice),
        Watch(NODES, _services_of_node),
    ),
    writes=("create, update, delete endpointslices",),
    reconcile=reconcile,
)
