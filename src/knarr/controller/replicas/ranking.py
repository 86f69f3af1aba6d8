"""Which pods a workload gives up first: the less use they are, the earlier."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cmp_to_key

from knarr.api.registry import PODS
from knarr.api.resources import Resource
from knarr.api.semantics import owners, pod_state
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller_runtime.snapshot import OWNER, Snapshot

_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "": 0, "Unknown": 1, "Running": 2}


def related(resource: Resource, rs: Object, snapshot: Snapshot) -> Counter[str]:
    """How many active pods of a ReplicaSet (or its like) and its siblings each node has."""
    controller = owners.controller_of(rs)
    siblings: Iterable[Object] = [rs]
    if controller is not None:
        found = snapshot.indexed(resource, OWNER, controller["uid"])
        siblings = [
            sibling for sibling in found if (owners.controller_of(sibling) or {}).get("uid") == controller["uid"]
        ]
    nodes: Counter[str] = Counter()
    for sibling in siblings:
        pods = snapshot.indexed(PODS, OWNER, sibling["metadata"]["uid"])
        nodes.update(_node(pod) for pod in pods if pod_state.is_active(pod) and owners.is_controlled_by(pod, sibling))
    return nodes


def ranked(pods: Sequence[Object], nodes: Counter[str], now: datetime) -> list[Object]:
    """Pods in the order in which they are given up; `nodes` as `related` gives them."""

    def compare(one: Object, other: Object) -> int:
        first, second = _use(one, nodes), _use(other, nodes)
        if first != second:
            return -1 if first < second else 1
        return _compare_age(one, other, now)

    return sorted(pods, key=cmp_to_key(compare))


def _use(pod: Object, nodes: Counter[str]) -> tuple[object, ...]:
    node = _node(pod)
    return (bool(node), _PHASES.get(pod_state.phase(pod), 0), pod_state.is_ready(pod), _cost(pod), -nodes[node])


def _compare_age(one: Object, other: Object, now: datetime) -> int:
    """Younger first, where ages are the same when their logarithms are."""
    if pod_state.is_ready(one) and pod_state.is_ready(other):
        by_ready = _younger(_ready_since(one), _ready_since(other), now, one, other)
        if by_ready:
            return by_ready
    if (restarts := (pod_state.restart_counts(one), pod_state.restart_counts(other)))[0] != restarts[1]:
        return -1 if restarts[0] > restarts[1] else 1
    created = one["metadata"].get("creationTimestamp"), other["metadata"].get("creationTimestamp")
    return _younger(created[0], created[1], now, one, other)


def _younger(one: str | None, other: str | None, now: datetime, first: Object, second: Object) -> int:
    if one == other:
        return 0
    if not one or not other:
        return -1 if not one else 1
    rank = _log_age(one, now) - _log_age(other, now)
    if rank:
        return rank
    return -1 if first["metadata"].get("uid", "") < second["metadata"].get("uid", "") else 1


def _log_age(since: str, now: datetime) -> int:
    nanoseconds = (now - timestamps.parse(since)).total_seconds() * 1e9
    return int(math.log2(nanoseconds)) if nanoseconds > 1 else -1


def _ready_since(pod: Object) -> str | None:
    return (pod_state.ready_condition(pod) or {}).get("lastTransitionTime")


def _node(pod: Object) -> str:
    return str(pod["spec"].get("nodeName") or "")


def _cost(pod: Object) -> int:
    text = (pod["metadata"].get("annotations") or {}).get(_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0
