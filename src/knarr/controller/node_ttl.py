"""Tells the nodes' agents how long they may trust what they know of Secrets and ConfigMaps: longer in large clusters.

Input: a node, the number of nodes. Output: the annotation with the seconds. Sizes overlap, so that a cluster on the
border between two does not write all nodes again and again.
Source: https://kubernetes.io/docs/reference/labels-annotations-taints/#node-alpha-kubernetes-io-ttl
"""

from __future__ import annotations

from typing import NamedTuple

from knarr.api.registry import NODES
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, Patch, Result
from knarr.controller_runtime.controller import Controller, Watch, itself
from knarr.controller_runtime.snapshot import Key, Snapshot

_TTL = "node.alpha.kubernetes.io/ttl"


class _Size(NamedTuple):
    """From and up to how many nodes so many seconds hold."""

    least: int
    most: float
    seconds: int


_SIZES = (
    _Size(0, 100, 0),
    _Size(90, 500, 15),
    _Size(450, 1000, 30),
    _Size(900, 2000, 60),
    _Size(1800, float("inf"), 300),
)


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Bring a node's annotation up to date."""
    node = snapshot.get(*key)
    if node is None or node["metadata"].get("deletionTimestamp"):
        return DONE
    before = (node["metadata"].get("annotations") or {}).get(_TTL)
    wanted = str(seconds(before, len(snapshot.list(NODES))))
    if before == wanted:
        return DONE
    return Result((Patch(NODES, "", key.name, _annotated(node, wanted)),))


def _annotated(node: Object, wanted: str) -> Object:
    return {"metadata": {"uid": node["metadata"]["uid"], "annotations": {_TTL: wanted}}}


def seconds(before: str | None, nodes: int) -> int:
    """The seconds for a cluster of so many nodes; what stands is kept while the size allows it."""
    for size in _SIZES:
        if str(size.seconds) == before and size.least <= nodes <= size.most:
            return size.seconds
    return next(size.seconds for size in _SIZES if nodes <= size.most)


CONTROLLER = Controller(
    name="ttl-controller",
    resource=NODES,
    watches=(Watch(NODES, itself(NODES)),),
    writes=("patch nodes",),
    reconcile=reconcile,
)
