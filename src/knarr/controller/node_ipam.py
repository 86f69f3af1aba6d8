"""Gives every node its own range of pod addresses: a /24 (IPv6: a /64) of the cluster's.

Input: all nodes, the cluster's ranges. Output: `spec.podCIDR(s)` of nodes that have none. Invariant: ranges do not
overlap, since nodes are served one at a time and see each other's ranges.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from knarr.api.registry import NODES
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, EventNote, Patch, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of
from knarr.controller_runtime.snapshot import Key, Snapshot

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Prefix lengths of a node's range, by IP version.
_LENGTHS = {4: 24, 6: 64}
_NOT_AVAILABLE = "CIDRNotAvailable"


def controller(cluster_cidrs: Sequence[str]) -> Controller:
    """The controller that shares out the cluster's ranges: one, or one of each IP family.

    Raises `ValueError` for a text that is no range.
    """
    clusters = [ipaddress.ip_network(text.strip()) for text in cluster_cidrs]

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        node = snapshot.get(*key)
        if node is None or _ranges(node) or node["metadata"].get("deletionTimestamp"):
            return DONE
        taken = {text for other in snapshot.list(NODES) for text in _ranges(other)}
        found = [_free(cluster, taken) for cluster in clusters]
        given = [str(network) for network in found if network is not None]
        if len(given) < len(clusters):
            message = f"Node {key.name} status is now: {_NOT_AVAILABLE}"
            return Result(events=(EventNote(node, "Normal", _NOT_AVAILABLE, message),))
        meta = {"uid": node["metadata"]["uid"]}
        patch = {"metadata": meta, "spec": {"podCIDR": given[0], "podCIDRs": given}}
        return Result((Patch(NODES, "", key.name, patch),))

    return Controller(
        name="node-controller",
        title="node-ipam-controller",
        component="cidrAllocator",
        resource=NODES,
        watches=(Watch(NODES, _without_range),),
        writes=("patch nodes",),
        reconcile=reconcile,
        workers=1,
    )


def _ranges(node: Object) -> Sequence[str]:
    spec = node.get("spec") or {}
    return spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else ())


def _free(cluster: Network, taken: Iterable[str]) -> Network | None:
    """The first part of the cluster's range that overlaps none taken."""
    used = [network for network in map(ipaddress.ip_network, taken) if network.version == cluster.version]
    exact = set(used)
    for candidate in _parts(cluster):
        if candidate not in exact and not any(candidate.overlaps(other) for other in used):
            return candidate
    return None


def _parts(cluster: Network) -> Iterator[Network]:
    return iter(cluster.subnets(new_prefix=max(_LENGTHS[cluster.version], cluster.prefixlen)))


def _without_range(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A node that lacks a range is woken; all such nodes are when one has become free."""
    if new is not None:
        return () if _ranges(new) else [key_of(NODES, new)]
    return [key_of(NODES, node) for node in snapshot.list(NODES) if not _ranges(node)]
