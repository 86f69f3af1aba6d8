"""One pod as an endpoint of a Service."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.semantics import pod_state, service_endpoints
from knarr.api.semantics.slice_plan import Ports
from knarr.apimachinery.types import Object
from knarr.controller.endpoint_slice import topology

_ZONE = "topology.kubernetes.io/zone"


def ports(service: Object, pod: Object) -> Ports:
    """The ports of a pod behind a Service."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = service_endpoints.target_port(pod, port)
        if number is None:
            continue
        known = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
        if port.get("appProtocol"):
            known["appProtocol"] = port["appProtocol"]
        found.append(tuple(sorted(known.items())))
    return tuple(sorted(found))


def endpoint(service: Object, pod: Object, node: Object | None, address: str) -> Object:
    """The endpoint of a pod."""
    serving, terminating = pod_state.is_ready(pod), bool(pod["metadata"].get("deletionTimestamp"))
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    found: Object = {
        "addresses": [address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
    }
    if (name := service_endpoints.hostname(pod, service)) is not None:
        found["hostname"] = name
    found["targetRef"] = service_endpoints.target(pod)
    if pod["spec"].get("nodeName"):
        found["nodeName"] = pod["spec"]["nodeName"]
    zone = ((node or {"metadata": {}})["metadata"].get("labels") or {}).get(_ZONE)
    if zone:
        found["zone"] = zone
    if (
        ready
        and not topology.is_asked(service)
        and (hints := _hints(service["spec"].get("trafficDistribution"), found))
    ):
        found["hints"] = hints
    return found


def _hints(distribution: str | None, found: Object) -> Object:
    """Whom traffic should come from, where the Service prefers the near."""
    hints: Object = {}
    if distribution in ("PreferClose", "PreferSameZone", "PreferSameNode") and found.get("zone"):
        hints["forZones"] = [{"name": found["zone"]}]
    if distribution == "PreferSameNode" and found.get("nodeName"):
        hints["forNodes"] = [{"name": found["nodeName"]}]
    return hints


def address_types(service: Object) -> Sequence[str]:
    """The IP families of a Service."""
    return service["spec"].get("ipFamilies") or ["IPv4"]
