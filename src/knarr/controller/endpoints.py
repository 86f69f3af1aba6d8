"""Endpoints, the elder form of EndpointSlices: one object a Service, at most 1000 addresses.

Input: a Service with a selector, the pods of its namespace, its Endpoints. Output: the Endpoints, if they differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from knarr.api.registry import ENDPOINTS, PODS, SERVICES
from knarr.api.semantics import endpoint_subsets, pod_state, service_endpoints
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, Create, Delete, EventNote, Result, Update
from knarr.controller_runtime.controller import Controller, Watch, itself
from knarr.controller_runtime.service_watches import services_of_pod
from knarr.controller_runtime.snapshot import Key, Snapshot

_MANAGED_BY, _MANAGER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
_OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
_TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
_LIMIT = 1000


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Make a Service's Endpoints tell which pods are behind it."""
    service = snapshot.get(*key)
    present = snapshot.get(ENDPOINTS, key.namespace, key.name)
    if service is None:
        return _without_service(present)
    if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
        return DONE
    subsets = endpoint_subsets.subsets(_placed(service, snapshot))
    kept = endpoint_subsets.within(subsets, _LIMIT)
    wanted = _wanted(service, kept, truncated=kept is not subsets)
    if present is None:
        return _create(service, _annotated(wanted, _trigger(service, present, wanted, snapshot)))
    merged = _merged(present, wanted)
    if _annotated(merged, "") == _annotated(present, ""):
        return DONE
    since = _trigger(service, present, wanted, snapshot)
    failed = EventNote(wanted, "Warning", "FailedToUpdateEndpoint", _failure(service, "update endpoint") + ": {error}")
    return Result((Update(ENDPOINTS, _annotated(merged, since), failed=failed),))


def _failure(service: Object, what: str) -> str:
    return f"Failed to {what} {service['metadata']['namespace']}/{service['metadata']['name']}"


def _annotated(endpoints: Object, since: str) -> Object:
    """Endpoints that say since when they have been so; nothing of it where that is empty."""
    meta = endpoints["metadata"]
    annotations = {name: value for name, value in (meta.get("annotations") or {}).items() if name != _TRIGGER}
    if since:
        annotations[_TRIGGER] = since
    kept = {name: value for name, value in meta.items() if name != "annotations"}
    return {**endpoints, "metadata": {**kept, "annotations": annotations} if annotations else kept}


def _trigger(service: Object, present: Object | None, wanted: Object, snapshot: Snapshot) -> str:
    """When the earliest of the changes came about that are told for the first time."""
    known, told = _states(present or {}), _states(wanted)
    changed = [item for item, ready in told.items() if known.get(item) is not ready]
    namespace = service["metadata"]["namespace"]
    pods = (snapshot.get(PODS, namespace, name) for name, _ in changed)
    times = [(pod_state.ready_condition(pod) or {}).get("lastTransitionTime") for pod in pods if pod is not None]
    if present is None:
        times.append(service["metadata"].get("creationTimestamp"))
    return min(filter(None, times), default="")


def _states(endpoints: Object) -> dict[tuple[str, str], bool]:
    """The pods behind Endpoints by name and uid, and whether each is ready."""
    return {
        (target["name"], target.get("uid", "")): ready
        for subset in endpoints.get("subsets") or ()
        for field, ready in (("addresses", True), ("notReadyAddresses", False))
        for address in subset.get(field) or ()
        if (target := address.get("targetRef"))
    }


def _create(service: Object, wanted: Object) -> Result:
    if service["metadata"].get("deletionTimestamp"):
        return DONE
    message = _failure(service, "create endpoint for service")
    failed = EventNote(wanted, "Warning", "FailedToCreateEndpoint", message + ": {error}")
    return Result((Create(ENDPOINTS, wanted, failed=failed),))


def _without_service(present: Object | None) -> Result:
    """Endpoints go with their Service, if this controller made them."""
    if present is None or (present["metadata"].get("labels") or {}).get(_MANAGED_BY) != _MANAGER:
        return DONE
    meta = present["metadata"]
    return Result((Delete(ENDPOINTS, meta["namespace"], meta["name"], uid=meta["uid"]),))


def _placed(service: Object, snapshot: Snapshot) -> Iterator[endpoint_subsets.Placed]:
    spec = service["spec"]
    publish = bool(spec.get("publishNotReadyAddresses"))
    for pod in snapshot.list(PODS, service["metadata"]["namespace"]):
        if not service_endpoints.selects(service, pod) or not service_endpoints.counts(pod, terminating=publish):
            continue
        family = (spec.get("ipFamilies") or ["IPv4"])[0]
        ip = service_endpoints.address_of_type(pod, family)
        if ip is None:
            continue
        address = _address(service, pod, ip)
        ready = publish or pod_state.is_ready(pod)
        if not spec.get("ports"):
            if service_endpoints.is_headless(service):
                yield endpoint_subsets.Placed(address, ready, None)
            continue
        for port in spec["ports"]:
            number = service_endpoints.target_port(pod, port)
            if number is not None:
                named = endpoint_subsets.port(
                    port.get("name", ""), number, port.get("protocol", "TCP"), port.get("appProtocol", "")
                )
                yield endpoint_subsets.Placed(address, ready, named)


def _address(service: Object, pod: Object, ip: str) -> Object:
    address: Object = {"ip": ip}
    if (name := service_endpoints.hostname(pod, service)) is not None:
        address["hostname"] = name
    if pod["spec"].get("nodeName"):
        address["nodeName"] = pod["spec"]["nodeName"]
    address["targetRef"] = service_endpoints.target(pod)
    return address


def _wanted(service: Object, subsets: list[Object], *, truncated: bool) -> Object:
    meta = service["metadata"]
    labels = {**(meta.get("labels") or {}), _MANAGED_BY: _MANAGER}
    labels.pop(service_endpoints.HEADLESS, None)
    if service_endpoints.is_headless(service):
        labels[service_endpoints.HEADLESS] = ""
    found: Object = {"name": meta["name"], "namespace": meta["namespace"], "labels": labels}
    if truncated:
        found["annotations"] = {_OVER_CAPACITY: "truncated"}
    wanted: Object = {"apiVersion": "v1", "kind": "Endpoints", "metadata": found}
    return {**wanted, "subsets": subsets} if subsets else wanted


def _merged(present: Object, wanted: Object) -> Object:
    """The present object with what is wanted, and nothing else of it changed."""
    kept = dict(present["metadata"].get("annotations") or {})
    kept.pop(_OVER_CAPACITY, None)
    kept |= wanted["metadata"].get("annotations") or {}
    meta = {**present["metadata"], "labels": wanted["metadata"]["labels"], "annotations": kept}
    if not kept:
        del meta["annotations"]
    merged = {**present, "metadata": meta, "subsets": wanted.get("subsets")}
    if merged["subsets"] is None:
        del merged["subsets"]
    return merged


def _service_of_endpoints(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    meta = (new or old or {})["metadata"]
    if (meta.get("labels") or {}).get(_MANAGED_BY) == _MANAGER:
        return [Key(SERVICES, meta["namespace"], meta["name"])]
    return ()


CONTROLLER = Controller(
    name="endpoint-controller",
    queue="endpoint",
    resource=SERVICES,
    watches=(
        Watch(SERVICES, itself(SERVICES)),
        Watch(PODS, services_of_pod),
        Watch(ENDPOINTS, _service_of_endpoints),
    ),
    writes=("create, update, delete endpoints",),
    reconcile=reconcile,
)
