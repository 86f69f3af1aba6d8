"""Services: what goes with a type goes when the type changes, and allocated values stay when they are left out."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def update(obj: Object, old: Object, _now: str) -> None:
    """Keep what was allocated, drop what only the old type had and nobody touched."""
    new, before = obj["spec"], old["spec"]
    _keep_allocated(new, before)
    if _has_cluster_ip(before) and not _has_cluster_ip(new):
        _drop_unchanged(new, before, "clusterIP", "clusterIPs")
        for name in ("ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            _drop_unchanged(new, before, name)
    if _has_node_ports(before) and not _has_node_ports(new) and _node_ports(new) == _node_ports(before):
        for port in new.get("ports", ()):
            port.pop("nodePort", None)
    _drop_balancer_fields(new, before)
    if _is_outside(before) and not _is_outside(new):
        _drop_unchanged(new, before, "externalTrafficPolicy")
    if before.get("type") == "LoadBalancer" and new.get("type") != "LoadBalancer":
        obj["status"] = {**obj["status"], "loadBalancer": {}}


def _keep_allocated(new: Object, before: Object) -> None:
    if _has_cluster_ip(before) and _has_cluster_ip(new):
        if not new.get("clusterIP") and before.get("clusterIP"):
            new["clusterIP"] = before["clusterIP"]
        if not new.get("clusterIPs") and new.get("clusterIP") == before.get("clusterIP") and before.get("clusterIPs"):
            new["clusterIPs"] = list(before["clusterIPs"])
    if _has_node_ports(before) and _has_node_ports(new):
        _keep_node_ports(new, before)
    if _has_health_port(before) and _has_health_port(new) and before.get("healthCheckNodePort"):
        new.setdefault("healthCheckNodePort", before["healthCheckNodePort"])


def _keep_node_ports(new: Object, before: Object) -> None:
    known = {
        (port["protocol"], port["port"]): port["nodePort"] for port in before.get("ports", ()) if "nodePort" in port
    }
    taken = {port["nodePort"] for port in new.get("ports", ()) if "nodePort" in port}
    for port in new.get("ports", ()):
        number = known.get(_port_key(port))
        if "nodePort" not in port and number is not None and number not in taken:
            port["nodePort"] = number


def _port_key(port: Object) -> tuple[str, int]:
    return port["protocol"], port["port"]


def _drop_balancer_fields(new: Object, before: Object) -> None:
    if _has_health_port(before) and not _has_health_port(new):
        _drop_unchanged(new, before, "healthCheckNodePort")
    if before.get("type") == "LoadBalancer" and new.get("type") != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            _drop_unchanged(new, before, name)


def _drop_unchanged(new: Object, before: Object, *names: str) -> None:
    """Drop the members when all of them are what they were."""
    if all(new.get(name) == before.get(name) for name in names):
        for name in names:
            new.pop(name, None)


def _node_ports(spec: Object) -> list[int | None]:
    return [port.get("nodePort") for port in spec.get("ports", ())]


def _has_cluster_ip(spec: Object) -> bool:
    return spec.get("type") != "ExternalName"


def _has_node_ports(spec: Object) -> bool:
    if spec.get("type") == "NodePort":
        return True
    return spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False


def _has_health_port(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _is_outside(spec: Object) -> bool:
    kind = spec.get("type")
    return kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))
