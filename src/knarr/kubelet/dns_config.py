"""A pod's resolv.conf. Input: the pod, the cluster's and the node's name servers. Output: a CRI `DNSConfig`.

https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from knarr.apimachinery.types import Object
from knarr.kubelet.node_config import NodeConfig

_MOST_SEARCHES, _MOST_SERVERS = 32, 3


def dns_config(pod: Object, node: NodeConfig) -> dict[str, Any]:
    """Servers, searches and options."""
    spec = pod["spec"]
    servers, searches, options = _by_policy(_policy(spec), pod["metadata"]["namespace"], node)
    own = spec.get("dnsConfig") or {}
    servers += own.get("nameservers") or ()
    searches += own.get("searches") or ()
    return {
        "servers": _distinct(servers)[:_MOST_SERVERS],
        "searches": _distinct(searches)[:_MOST_SEARCHES],
        "options": _merge_options(options, own.get("options") or ()),
    }


def _policy(spec: Object) -> str:
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        return "Default"
    return "ClusterFirst" if policy == "ClusterFirstWithHostNet" else str(policy)


def _by_policy(policy: str, namespace: str, node: NodeConfig) -> tuple[list[str], list[str], list[str]]:
    host = node.resolver
    if policy == "None":
        return [], [], []
    if policy == "Default" or not node.cluster_dns:
        return list(host.servers), list(host.searches), list(host.options)
    domain = node.cluster_domain
    own = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain]
    return list(node.cluster_dns), [*own, *host.searches], ["ndots:5"]


def _merge_options(options: Sequence[str], own: Iterable[Object]) -> list[str]:
    """Own options replace those of the same name."""
    merged = {option.partition(":")[0]: option for option in options}
    for option in own:
        name, value = option.get("name", ""), option.get("value")
        merged[name] = f"{name}:{value}" if value else name
    return list(merged.values())


def _distinct(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
