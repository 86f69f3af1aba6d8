"""Makes pods that a Job lacks and gives up those it has too many of.

Input: the facts of a Job that goes on. Output: changes, and the numbers once they are carried out. Invariants: never
more active pods than `parallelism` or than completions are missing; never two new pods of an index; 500 pods a round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from knarr.api.registry import PODS
from knarr.api.semantics import pod_state
from knarr.apimachinery.types import Object
from knarr.controller.job import backoff, intervals, pods, template
from knarr.controller.job.facts import Facts, is_indexed, is_suspended, limits_indexes
from knarr.controller_runtime import dependents
from knarr.controller_runtime.changes import Change, Names, Patch

#: Pods created or deleted in a round.
_BURST = 500


@dataclass(frozen=True, slots=True)
class Managed:
    """What is done about the pods, and the numbers after it. `wait` in seconds, until more may be done."""

    active: int
    ready: int
    terminating: int
    changes: tuple[Change, ...] = ()
    wait: float | None = None


def as_is(facts: Facts) -> Managed:
    """Nothing is done."""
    return Managed(len(facts.active), facts.ready, len(facts.terminating))


def give_up_all(facts: Facts) -> Managed:
    """Delete the active pods of a Job that ends. They keep their finalizers, so that they are counted."""
    return _given_up(facts, facts.active, tuple(dependents.delete_pod(facts.job, pod) for pod in facts.active))


def manage(facts: Facts, names: Names) -> Managed:
    """Bring the pods to the number that is wanted."""
    surplus = _surplus(facts)[: None if is_suspended(facts.job) else _BURST]
    if surplus:
        # Such pods are no failures: they are let go before they are deleted.
        released = [release(pod, unchanged=True) for pod in surplus if pods.is_tracked(pod)]
        return _given_up(facts, surplus, (*released, *(dependents.delete_pod(facts.job, pod) for pod in surplus)))
    missing = _wanted(facts) - len(facts.active)
    if facts.spec.get("podReplacementPolicy") == "Failed":
        missing -= len(facts.terminating)
    return as_is(facts) if missing <= 0 else _create(facts, min(missing, _BURST), names)


def _given_up(facts: Facts, given_up: Sequence[Object], changes: tuple[Change, ...]) -> Managed:
    return Managed(
        active=len(facts.active) - len(given_up),
        ready=facts.ready - sum(pod_state.is_ready(pod) for pod in given_up),
        terminating=len(facts.terminating) + len(given_up),
        changes=changes,
    )


def _wanted(facts: Facts) -> int:
    """How many pods should be active."""
    parallelism, completions = facts.spec.get("parallelism", 1), facts.spec.get("completions")
    if is_suspended(facts.job):
        return 0
    if completions is None:
        # Each pod may find the work done: after a success those that run are left alone, and none is added.
        return len(facts.active) if facts.succeeded else int(parallelism)
    return max(0, min(int(parallelism), int(completions) - facts.succeeded))


def _surplus(facts: Facts) -> list[Object]:
    """Pods to give up: those whose index is wrong or taken, and the least useful of too many."""
    wrong, right = _by_index(facts) if is_indexed(facts.job) else ([], list(facts.active))
    too_many = len(facts.active) - _wanted(facts) - len(wrong)
    return wrong + (pods.least_useful_first(right)[:too_many] if too_many > 0 else [])


def _by_index(facts: Facts) -> tuple[list[Object], list[Object]]:
    """Active pods without a place of their own, and those that have one."""
    wrong = [pod for pod in facts.active if not facts.has_place(pod)]
    right: list[Object] = []
    placed = pods.by_index(pod for pod in facts.active if facts.has_place(pod))
    for _, found in groupby(placed, key=pods.index):
        same = list(found)
        *others, best = pods.least_useful_first(same) if len(same) > 1 else same
        wrong += others
        right.append(best)
    return wrong, right


def _create(facts: Facts, count: int, names: Names) -> Managed:
    wait: float | None = None
    indexes: list[int | None] = [None] * count
    if not limits_indexes(facts.job):
        wait = backoff.of_job(facts.job, facts.pods, facts.failed, facts.now)
        if wait > 0:
            return _waiting(facts, wait)
    if is_indexed(facts.job):
        indexes, wait = _indexes(facts, count)
        if not indexes and wait:
            return _waiting(facts, wait)
    changes = tuple(template.create(facts, index, names.suffix()) for index in indexes)
    active = len(facts.active) + len(changes)
    return Managed(active, facts.ready, len(facts.terminating), changes, wait or None)


def _waiting(facts: Facts, seconds: float) -> Managed:
    # Not less than a second: times are kept in whole ones.
    return Managed(len(facts.active), facts.ready, len(facts.terminating), wait=max(1.0, seconds))


def _indexes(facts: Facts, count: int) -> tuple[list[int | None], float | None]:
    """Indexes that may have a pod now, and seconds until the first of the others may."""
    taken = intervals.union(facts.succeeded_indexes, facts.indexes_of(facts.active))
    if facts.spec.get("podReplacementPolicy") == "Failed":
        taken = intervals.union(taken, facts.indexes_of(facts.terminating))
    if limits_indexes(facts.job):
        taken = intervals.union(taken, facts.failed_indexes)
    free = intervals.first_missing(taken, count, facts.completions)
    waits = {index: backoff.of_index(facts.awaiting_replacement.get(index), facts.now) for index in free}
    ready: list[int | None] = [index for index in free if not waits[index]]
    return ready, min((wait for wait in waits.values() if wait), default=None)


def release(pod: Object, *, unchanged: bool = False) -> Patch:
    """Let a pod go: it is counted, or does not count. `unchanged`: only if nothing has become of it meanwhile."""
    meta = pod["metadata"]
    given: Object = {"uid": meta["uid"], "$deleteFromPrimitiveList/finalizers": [pods.TRACKING]}
    if unchanged:
        given["resourceVersion"] = meta.get("resourceVersion")
    return Patch(PODS, meta["namespace"], meta["name"], {"metadata": given})
