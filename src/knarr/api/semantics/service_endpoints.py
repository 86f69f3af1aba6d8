"""How a Service's pods become endpoints: which pods count, at which ports, and which changes matter.

https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from knarr.api.semantics import pod_state
from knarr.apimachinery.types import Object

HEADLESS = "service.kubernetes.io/headless"


def selects(service: Object, pod: Object) -> bool:
    """Whether a Service's selector matches a pod; a Service without one selects nothing."""
    selector = service["spec"].get("selector")
    if not selector:
        return False
    labels = pod["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def is_headless(service: Object) -> bool:
    """Whether the Service has no address of its own."""
    return service["spec"].get("clusterIP", "") in ("", "None")


def addresses(pod: Object) -> Sequence[str]:
    """A pod's addresses, the first of each IP family."""
    status = pod.get("status") or {}
    listed = [item["ip"] for item in status.get("podIPs") or () if item.get("ip")]
    return listed or ([status["podIP"]] if status.get("podIP") else ())


def address_of_type(pod: Object, address_type: str) -> str | None:
    """A pod's address of type `IPv4` or `IPv6`, or None."""
    version = 6 if address_type == "IPv6" else 4
    return next((text for text in addresses(pod) if ipaddress.ip_address(text).version == version), None)


def counts(pod: Object, *, terminating: bool) -> bool:
    """Whether a pod is an endpoint: it has an address, has not ended, and (unless asked for) is not being deleted."""
    if pod_state.is_terminal(pod) or not addresses(pod):
        return False
    return terminating or not pod["metadata"].get("deletionTimestamp")


def hostname(pod: Object, service: Object) -> str | None:
    """The name that a pod has below its Service, or None."""
    spec = pod["spec"]
    named = spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]
    return str(spec["hostname"]) if named else None


def target_port(pod: Object, service_port: Object) -> int | None:
    """The number of the pod's port behind a Service's port; None where the pod has no port of that name."""
    target = service_port.get("targetPort") or service_port["port"]
    if isinstance(target, int):
        return target
    protocol = service_port.get("protocol", "TCP")
    for container in _long_running(pod):
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def _long_running(pod: Object) -> Sequence[Object]:
    spec = pod["spec"]
    sidecars = (item for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always")
    return [*(spec.get("containers") or ()), *sidecars]


def target(pod: Object) -> Object:
    """The reference to a pod that an endpoint carries."""
    meta = pod["metadata"]
    return {"kind": "Pod", "namespace": meta.get("namespace", ""), "name": meta["name"], "uid": meta["uid"]}


def matters(old: Object, new: Object) -> bool:
    """Whether a pod's change can change endpoints."""
    return _relevant(old) != _relevant(new)


def _relevant(pod: Object) -> tuple[object, ...]:
    meta, spec = pod["metadata"], pod["spec"]
    placed = (spec.get("nodeName"), spec.get("hostname"), spec.get("subdomain"))
    state = (pod_state.is_ready(pod), pod_state.is_terminal(pod), bool(meta.get("deletionTimestamp")))
    return (meta.get("labels"), addresses(pod), placed, state, meta["uid"])
