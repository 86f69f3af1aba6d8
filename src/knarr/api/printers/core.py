"""Rows of the core group's kinds other than pods and storage."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from knarr.api.printers.text import NONE, UNKNOWN, age, containers, joined, labels, since
from knarr.apimachinery.types import Object

_ROLE, _OLD_ROLE = "node-role.kubernetes.io/", "kubernetes.io/role"
#: Addresses of an Endpoints object that are shown before the rest is counted.
_SHOWN = 3


def config_map(obj: Object, now: datetime) -> list[Any]:
    """Name, data, age."""
    return [obj["metadata"]["name"], len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), age(obj, now)]


def secret(obj: Object, now: datetime) -> list[Any]:
    """Name, type, data, age."""
    return [obj["metadata"]["name"], obj.get("type", ""), len(obj.get("data") or ()), age(obj, now)]


def namespace(obj: Object, now: datetime) -> list[Any]:
    """Name, status, age."""
    return [obj["metadata"]["name"], (obj.get("status") or {}).get("phase", ""), age(obj, now)]


def service_account(obj: Object, now: datetime) -> list[Any]:
    """Name, age."""
    return [obj["metadata"]["name"], age(obj, now)]


def pod_template(obj: Object, now: datetime) -> list[Any]:
    """Name, containers, images, labels."""
    template = obj.get("template") or {}
    meta = template.get("metadata") or {}
    return [obj["metadata"]["name"], *containers(template.get("spec") or {}), labels(meta.get("labels"))]


def component_status(obj: Object, now: datetime) -> list[Any]:
    """Name, status, message, error."""
    healthy: Object = next((one for one in obj.get("conditions") or () if one["type"] == "Healthy"), {})
    status = "Unknown" if not healthy else "Healthy" if healthy.get("status") == "True" else "Unhealthy"
    return [obj["metadata"]["name"], status, healthy.get("message", ""), healthy.get("error", "")]


def resource_quota(obj: Object, now: datetime) -> list[Any]:
    """Name, requests and limits as used/hard, age."""
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    shown = {name: f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)}
    requests = ", ".join(text for name, text in shown.items() if not name.startswith("limits."))
    limits = ", ".join(text for name, text in shown.items() if name.startswith("limits."))
    return [obj["metadata"]["name"], requests, limits, age(obj, now)]


def service(obj: Object, now: datetime) -> list[Any]:
    """Name, type, cluster IP, external IP, ports, age; selector."""
    spec = obj.get("spec") or {}
    ips = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    ports = joined(_port(port) for port in spec.get("ports") or ())
    external = _external(spec, obj.get("status") or {})
    head = [obj["metadata"]["name"], spec.get("type", ""), ips[0] if ips else NONE, external, ports]
    return [*head, age(obj, now), labels(spec.get("selector"))]


def _port(port: Object) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node}/{port.get('protocol', 'TCP')}"


def _external(spec: Object, status: Object) -> str:
    named = spec.get("externalIPs") or []
    kind = spec.get("type", "")
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind == "LoadBalancer":
        ingress = (status.get("loadBalancer") or {}).get("ingress") or ()
        found = sorted({one.get("ip") or one.get("hostname") or "" for one in ingress} - {""})
        return joined([*found, *named], "<pending>")
    return joined(named) if kind in ("ClusterIP", "NodePort") else UNKNOWN


def endpoints(obj: Object, now: datetime) -> list[Any]:
    """Name, addresses, age."""
    return [obj["metadata"]["name"], _addresses(obj.get("subsets")), age(obj, now)]


def _addresses(subsets: list[Object] | None) -> str:
    if not subsets:
        return NONE
    found: list[str] = []
    for subset in subsets:
        addresses = [one["ip"] for one in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        found += [_join(address, port["port"]) for port in ports for address in addresses] if ports else addresses
    more = len(found) - _SHOWN
    return joined(found[:_SHOWN], "") + (f" + {more} more..." if more > 0 else "")


def _join(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def node(obj: Object, now: datetime) -> list[Any]:
    """Name, status, roles, age, version; addresses, system, kernel, runtime."""
    status = obj.get("status") or {}
    info = status.get("nodeInfo") or {}
    return [
        obj["metadata"]["name"],
        _node_status(obj, status),
        joined(_roles(obj["metadata"].get("labels") or {})),
        age(obj, now),
        info.get("kubeletVersion", ""),
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        _kernel(info),
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _kernel(info: Object) -> str:
    """Version and architecture."""
    version, machine = info.get("kernelVersion") or UNKNOWN, info.get("architecture")
    return f"{version} ({machine})" if machine and version != UNKNOWN else version


def _node_status(obj: Object, status: Object) -> str:
    ready = next((one for one in status.get("conditions") or () if one["type"] == "Ready"), None)
    parts = ["Unknown"] if ready is None else ["Ready" if ready.get("status") == "True" else "NotReady"]
    if (obj.get("spec") or {}).get("unschedulable"):
        parts.append("SchedulingDisabled")
    return ",".join(parts)


def _roles(values: dict[str, str]) -> Iterable[str]:
    found = {key.removeprefix(_ROLE) for key in values if key.startswith(_ROLE)} - {""}
    return sorted(found | ({values[_OLD_ROLE]} if values.get(_OLD_ROLE) else set()))


def _address(status: Object, kind: str) -> str:
    return next((one["address"] for one in status.get("addresses") or () if one["type"] == kind), NONE)


def event(obj: Object, now: datetime) -> list[Any]:
    """Last seen, type, reason, object; subobject, source; message; first seen, count, name."""
    regarding = obj.get("involvedObject") or {}
    target = (
        f"{regarding.get('kind', '').lower()}/{regarding['name']}"
        if regarding.get("name")
        else (regarding.get("kind", "").lower())
    )
    count, first, last = _times(obj, now)
    source = obj.get("source") or {}
    return [
        last,
        obj.get("type", ""),
        obj.get("reason", ""),
        target,
        regarding.get("fieldPath", ""),
        _source(
            source.get("component") or obj.get("reportingComponent", ""),
            source.get("host") or obj.get("reportingInstance", ""),
        ),
        obj.get("message", "").strip(),
        first,
        count,
        obj["metadata"]["name"],
    ]


def _times(obj: Object, now: datetime) -> tuple[int, str, str]:
    """Count, first and last time: of the series, of the event's own count, or of its only moment."""
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("firstTimestamp") or obj.get("eventTime")
    count = int(obj.get("count") or 0) or 1
    if series := obj.get("series"):
        count, last = int(series.get("count") or 0), series.get("lastObservedTime")
    return count, since(first, now), since(last, now)


def _source(component: str, host: str) -> str:
    return f"{component}, {host}" if host else component
