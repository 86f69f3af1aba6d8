"""Keeps as many pods of a template as a ReplicaSet or ReplicationController asks for.

Input: the workload, the pods it has or could adopt. Output: pods to create or delete, owner references, its status.
Invariant: never orders more pods than `spec.replicas` lacks, 500 in a round.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

from knarr.api.registry import PODS, REPLICASETS, REPLICATIONCONTROLLERS
from knarr.api.resources import Resource
from knarr.api.semantics import conditions, owners, pod_state, pod_templates
from knarr.apimachinery import labels, timestamps
from knarr.apimachinery.labels import Selector
from knarr.apimachinery.types import Object
from knarr.controller.replicas import ranking
from knarr.controller_runtime import dependents
from knarr.controller_runtime.changes import DONE, Change, Context, Create, Delete, Failure, Result, Update
from knarr.controller_runtime.claims import Owner, claim
from knarr.controller_runtime.controller import Controller, KeysOf, Watch, controller_of_changed, itself, key_of
from knarr.controller_runtime.names import generated
from knarr.controller_runtime.snapshot import Key, Snapshot

#: Pods created or deleted in a round.
_BURST = 500
_FAILURE = "ReplicaFailure"


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Bring the pods of a workload to the number it asks for, and its status to the truth."""
    rs = snapshot.get(*key)
    if rs is None:
        return DONE
    owner = Owner(key.resource, rs, _selector(key.resource, rs))
    claims = claim(owner, PODS, snapshot, context)
    if claims.reads:
        return Result(reads=claims.reads)
    pods = [pod for pod in claims.held if pod_state.is_active(pod)]
    terminating = [pod for pod in claims.held if pod_state.is_terminating(pod)]
    changes = () if owner.is_going else _manage(owner, pods, snapshot, context)
    failure = _own_failure(context.failure)
    status = _status(rs, pods, len(terminating), context.now, failure)
    written = () if changes and failure is None else _write_status(owner, status)
    return Result((*claims.changes, *written, *changes), requeue_after=_next_check(rs, pods, context.now))


def _selector(resource: Resource, rs: Object) -> Selector:
    selector = rs["spec"].get("selector")
    # A ReplicationController's is the older form: a map of labels.
    return labels.from_set(selector or {}) if resource is REPLICATIONCONTROLLERS else labels.from_object(selector)


def _manage(owner: Owner, pods: Sequence[Object], snapshot: Snapshot, context: Context) -> tuple[Change, ...]:
    rs = owner.object
    missing = rs["spec"].get("replicas", 1) - len(pods)
    if missing > 0:
        return tuple(_create(owner, context.names.suffix()) for _ in range(min(missing, _BURST)))
    surplus = min(-missing, _BURST)
    if surplus == len(pods):
        return tuple(dependents.delete_pod(rs, pod) for pod in pods)
    if not surplus:
        return ()
    nodes = ranking.related(owner.resource, rs, snapshot)
    return tuple(dependents.delete_pod(rs, pod) for pod in ranking.ranked(pods, nodes, context.now)[:surplus])


def _create(owner: Owner, suffix: str) -> Create:
    rs = owner.object
    name = generated(f"{rs['metadata']['name']}-", suffix)
    return dependents.create_pod(rs, pod_templates.new_pod(rs, owner.resource, rs["spec"]["template"], name))


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
    if rs["kind"] == REPLICASETS.kind:
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


def _write_status(owner: Owner, status: Object) -> tuple[Change, ...]:
    rs = owner.object
    if (rs.get("status") or {"replicas": -1}) == status:
        return ()
    return (Update(owner.resource, {**rs, "status": status}, "status"),)


def _next_check(rs: Object, pods: Sequence[Object], now: datetime) -> float | None:
    """Seconds until the next pod has been ready for long enough."""
    patience = rs["spec"].get("minReadySeconds", 0)
    if not patience:
        return None
    waits = [pod_state.seconds_until_available(pod, patience, now) for pod in pods]
    return min((wait for wait in waits if 0 < wait < math.inf), default=None)


# Whom changes wake


def _of_pod(resource: Resource) -> KeysOf:
    owner_of = controller_of_changed(resource)

    def keys(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
        found = set(owner_of(old, new, snapshot))
        if new is not None and owners.controller_of(new) is None and not _same_claims(old, new):
            found |= set(_could_adopt(resource, new, snapshot))
        return found

    return keys


def _same_claims(old: Object | None, new: Object) -> bool:
    if old is None:
        return False
    before, after = old["metadata"], new["metadata"]
    return before.get("labels") == after.get("labels") and owners.controller_of(old) is None


def _could_adopt(resource: Resource, pod: Object, snapshot: Snapshot) -> Iterable[Key]:
    meta = pod["metadata"]
    for rs in snapshot.list(resource, meta.get("namespace", "")):
        if _selector(resource, rs).matches(meta.get("labels")):
            yield key_of(resource, rs)


def controller(resource: Resource, name: str) -> Controller:
    """The controller of one kind of workload that has replicas of a template."""
    return Controller(
        name=name,
        queue="replicaset" if resource is REPLICASETS else "replicationmanager",
        resource=resource,
        watches=(Watch(resource, itself(resource)), Watch(PODS, _of_pod(resource))),
        writes=("create, delete, patch pods", f"update {resource.plural}/status"),
        reconcile=reconcile,
    )
