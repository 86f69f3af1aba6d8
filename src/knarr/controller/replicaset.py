"""ReplicaSets: keep as many pods of a template as asked for.

Input: a ReplicaSet, the pods it has or could adopt. Output: pods to create or delete, owner references, its status.
Invariant: never orders more pods than `spec.replicas` lacks, 500 in a round.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cmp_to_key

from knarr.api.registry import PODS, REPLICASETS
from knarr.api.semantics import conditions, owners, pod_state
from knarr.apimachinery import labels, timestamps
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Change, Context, Create, Delete, EventNote, Failure, Result, Update
from knarr.controller_runtime.claims import Owner, claim
from knarr.controller_runtime.controller import Controller, Watch, controller_of_changed, itself, key_of
from knarr.controller_runtime.names import generated
from knarr.controller_runtime.snapshot import OWNER, Key, Snapshot

#: Pods created or deleted in a round.
_BURST = 500
_COST = "controller.kubernetes.io/pod-deletion-cost"
_FAILURE = "ReplicaFailure"
_PHASES = {"Pending": 0, "": 0, "Unknown": 1, "Running": 2}


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Bring the pods of a ReplicaSet to the number it asks for, and its status to the truth."""
    rs = snapshot.get(*key)
    if rs is None:
        return DONE
    owner = Owner(REPLICASETS, rs, labels.from_object(rs["spec"]["selector"]))
    claims = claim(owner, PODS, snapshot, context)
    if claims.reads:
        return Result(reads=claims.reads)
    pods = [pod for pod in claims.held if pod_state.is_active(pod)]
    terminating = [pod for pod in claims.held if pod_state.is_terminating(pod)]
    changes = () if owner.is_going else _manage(rs, pods, snapshot, context)
    failure = _own_failure(context.failure)
    status = _status(rs, pods, len(terminating), context.now, failure)
    written = () if changes and failure is None else _write_status(rs, status)
    return Result((*claims.changes, *written, *changes), requeue_after=_next_check(rs, pods, context.now))


def _manage(rs: Object, pods: Sequence[Object], snapshot: Snapshot, context: Context) -> tuple[Change, ...]:
    missing = rs["spec"].get("replicas", 1) - len(pods)
    if missing > 0:
        return tuple(_create(rs, context.names.suffix()) for _ in range(min(missing, _BURST)))
    surplus = min(-missing, _BURST)
    if surplus == len(pods):
        return tuple(_delete(rs, pod) for pod in pods)
    if not surplus:
        return ()
    return tuple(_delete(rs, pod) for pod in ranked(pods, _related(rs, snapshot), context.now)[:surplus])


def _create(rs: Object, suffix: str) -> Create:
    template, meta = rs["spec"]["template"], rs["metadata"]
    given = template.get("metadata") or {}
    base = f"{meta['name']}-"
    name = generated(base, suffix)
    pod_meta: Object = {"name": name, "generateName": base, "namespace": meta["namespace"]}
    pod_meta |= {field: given[field] for field in ("labels", "annotations", "finalizers") if given.get(field)}
    pod_meta["ownerReferences"] = [owners.controller_reference(rs, REPLICASETS)]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": pod_meta, "spec": template["spec"]}
    done = EventNote(rs, "Normal", "SuccessfulCreate", f"Created pod: {name}")
    return Create(PODS, pod, done, EventNote(rs, "Warning", "FailedCreate", "Error creating: {error}"))


def _delete(rs: Object, pod: Object) -> Delete:
    meta = pod["metadata"]
    return Delete(
        PODS,
        meta["namespace"],
        meta["name"],
        uid=meta["uid"],
        done=EventNote(rs, "Normal", "SuccessfulDelete", f"Deleted pod: {meta['name']}"),
        failed=EventNote(rs, "Warning", "FailedDelete", "Error deleting: {error}"),
    )


# Which pods go first


def _related(rs: Object, snapshot: Snapshot) -> Counter[str]:
    """How many active pods of the ReplicaSet and its siblings each node has."""
    controller = owners.controller_of(rs)
    siblings: Iterable[Object] = [rs]
    if controller is not None:
        found = snapshot.indexed(REPLICASETS, OWNER, controller["uid"])
        siblings = [
            sibling for sibling in found if (owners.controller_of(sibling) or {}).get("uid") == controller["uid"]
        ]
    nodes: Counter[str] = Counter()
    for sibling in siblings:
        pods = snapshot.indexed(PODS, OWNER, sibling["metadata"]["uid"])
        nodes.update(_node(pod) for pod in pods if pod_state.is_active(pod) and owners.is_controlled_by(pod, sibling))
    return nodes


def ranked(pods: Sequence[Object], related: Counter[str], now: datetime) -> list[Object]:
    """Pods in the order in which they are given up: the less use they are, the earlier."""

    def compare(one: Object, other: Object) -> int:
        first, second = _use(one, related), _use(other, related)
        if first != second:
            return -1 if first < second else 1
        return _compare_age(one, other, now)

    return sorted(pods, key=cmp_to_key(compare))


def _use(pod: Object, related: Counter[str]) -> tuple[object, ...]:
    node = _node(pod)
    return (bool(node), _PHASES.get(pod_state.phase(pod), 0), pod_state.is_ready(pod), _cost(pod), -related[node])


def _compare_age(one: Object, other: Object, now: datetime) -> int:
    """Younger first, where ages are the same when their logarithms are."""
    if pod_state.is_ready(one) and pod_state.is_ready(other):
        by_ready = _younger(_ready_since(one), _ready_since(other), now, one, other)
        if by_ready:
            return by_ready
    if (restarts := pod_state.restarts(other) - pod_state.restarts(one)) != 0:
        return restarts
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


# Status


def _own_failure(failure: Failure | None) -> Failure | None:
    """The last round's failure, if it was one to create or delete pods."""
    if failure is None or not isinstance(failure.change, Create | Delete) or failure.reason == "Conflict":
        return None
    return failure


def _status(rs: Object, pods: Sequence[Object], terminating: int, now: datetime, failure: Failure | None) -> Object:
    wanted = (rs["spec"]["template"].get("metadata") or {}).get("labels") or {}
    selector = labels.from_set(wanted)
    patience = rs["spec"].get("minReadySeconds", 0)
    status: Object = {"replicas": len(pods)}
    counts = {
        "fullyLabeledReplicas": sum(selector.matches(pod["metadata"].get("labels")) for pod in pods),
        "readyReplicas": sum(pod_state.is_ready(pod) for pod in pods),
        "availableReplicas": sum(pod_state.is_available(pod, patience, now) for pod in pods),
        "observedGeneration": rs["metadata"].get("generation", 0),
    }
    status |= {name: count for name, count in counts.items() if count}
    status["terminatingReplicas"] = terminating
    if kept := _conditions(rs, now, failure):
        status["conditions"] = kept
    return status


def _conditions(rs: Object, now: datetime, failure: Failure | None) -> list[Object]:
    others = conditions.without(conditions.listed(rs), _FAILURE)
    if failure is None:
        return others
    present = conditions.find(rs, _FAILURE)
    if present is not None:
        return list(conditions.listed(rs))
    condition = {
        "type": _FAILURE,
        "status": "True",
        "reason": "FailedCreate" if isinstance(failure.change, Create) else "FailedDelete",
        "message": failure.message,
        "lastTransitionTime": timestamps.seconds(now),
    }
    return [*others, condition]


def _write_status(rs: Object, status: Object) -> tuple[Change, ...]:
    if (rs.get("status") or {"replicas": -1}) == status:
        return ()
    return (Update(REPLICASETS, {**rs, "status": status}, "status"),)


def _next_check(rs: Object, pods: Sequence[Object], now: datetime) -> float | None:
    """Seconds until the next pod has been ready for long enough."""
    patience = rs["spec"].get("minReadySeconds", 0)
    if not patience:
        return None
    waits = [pod_state.seconds_until_available(pod, patience, now) for pod in pods]
    return min((wait for wait in waits if 0 < wait < math.inf), default=None)


# Whom changes wake


def _of_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    keys = set(controller_of_changed(REPLICASETS)(old, new, snapshot))
    if new is not None and owners.controller_of(new) is None and not _same_claims(old, new):
        keys |= set(_could_adopt(new, snapshot))
    return keys


def _same_claims(old: Object | None, new: Object) -> bool:
    if old is None:
        return False
    before, after = old["metadata"], new["metadata"]
    return before.get("labels") == after.get("labels") and owners.controller_of(old) is None


def _could_adopt(pod: Object, snapshot: Snapshot) -> Iterable[Key]:
    meta = pod["metadata"]
    for rs in snapshot.list(REPLICASETS, meta.get("namespace", "")):
        if labels.from_object(rs["spec"]["selector"]).matches(meta.get("labels")):
            yield key_of(REPLICASETS, rs)


CONTROLLER = Controller(
    name="replicaset-controller",
    resource=REPLICASETS,
    watches=(Watch(REPLICASETS, itself(REPLICASETS)), Watch(PODS, _of_pod)),
    writes=("create, delete, patch pods", "update replicasets/status"),
    reconcile=reconcile,
)
