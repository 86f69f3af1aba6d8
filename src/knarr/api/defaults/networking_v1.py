"""Defaults of networking.k8s.io/v1."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def network_policy(obj: Object) -> None:
    """Protocols, and the directions the policy is about."""
    spec = obj["spec"]
    for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def ingress_class(obj: Object) -> None:
    """Parameters are those of the cluster."""
    parameters = obj["spec"].get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")
