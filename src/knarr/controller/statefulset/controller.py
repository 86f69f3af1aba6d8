"""StatefulSets: one round of one set.

Input: a set, its pods, claims and revisions. Output: the set's status, revisions to write, and the next steps with its
pods and claims. The status goes first: it remembers the revision that a rollout comes from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from knarr.api.registry import CONTROLLERREVISIONS, PODS, PVCS, STATEFULSETS
from knarr.api.semantics import owners, pod_state
from knarr.apimachinery import labels
from knarr.apimachinery.types import Object
from knarr.controller.statefulset import history, identity, rollout, status
from knarr.controller_runtime.changes import DONE, Change, Context, Result, Update
from knarr.controller_runtime.claims import Owner, claim
from knarr.controller_runtime.controller import Controller, Watch, itself, key_of
from knarr.controller_runtime.dependents import of_dependent, of_revision, revision_was_refused
from knarr.controller_runtime.snapshot import Key, Snapshot


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Take the next steps of a StatefulSet."""
    stateful_set = snapshot.get(*key)
    if stateful_set is None:
        return DONE
    selector = labels.from_object(stateful_set["spec"]["selector"])
    revisions = claim(Owner(STATEFULSETS, stateful_set, selector), CONTROLLERREVISIONS, snapshot, context)
    owner = Owner(STATEFULSETS, stateful_set, selector, accepts=lambda pod: identity.is_member(stateful_set, pod))
    pods = claim(owner, PODS, snapshot, context)
    if reads := {*revisions.reads, *pods.reads}:
        return Result(reads=tuple(reads))
    if pods.changes:
        return Result(pods.changes, requeue_after=0)
    past = history.of(stateful_set, revisions.held, snapshot)
    if owner.is_going and (past.created or past.renumbered):
        # It had no more than it has: what is left of it goes, and no revision is written for it.
        return DONE
    tidying = () if revision_was_refused(context) else (*past.renumbered, *revisions.changes)
    draft = rollout.Plan(stateful_set, past, _by_ordinal(pods.held), snapshot, context)
    return _step(draft, pods.held, tidying)


def _by_ordinal(pods: Iterable[Object]) -> dict[int, Object]:
    found = {identity.ordinal(pod): pod for pod in pods}
    found.pop(-1, None)
    return found


def _step(draft: rollout.Plan, held: Sequence[Object], tidying: tuple[Change, ...]) -> Result:
    stateful_set, past = draft.stateful_set, draft.history
    if not stateful_set["metadata"].get("deletionTimestamp"):
        rollout.plan(draft)
    pods = list(draft.pods.values())
    found = status.of(stateful_set, past, pods, draft.context.now)
    changes: tuple[Change, ...] = past.created
    if status.differs(stateful_set, found):
        changes += (Update(STATEFULSETS, {**stateful_set, "status": found}, "status"),)
    changes += (*draft.changes(), *history.surplus(stateful_set, past, held), *tidying)
    return Result(changes, tuple(draft.events), requeue_after=_next_check(draft, pods))


def _next_check(draft: rollout.Plan, pods: Sequence[Object]) -> float | None:
    """Seconds until the next pod has been ready for long enough."""
    patience = status.patience(draft.stateful_set)
    if not patience:
        return None
    waits = [pod_state.seconds_until_available(pod, patience, draft.context.now) for pod in pods]
    return min((wait for wait in waits if 0 < wait < math.inf), default=None)


# Whom changes wake


_of_dependent = of_dependent(STATEFULSETS)


def _of_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """Its owner, or those that select it; and a pod that gives a set's name free, whoever had it."""
    keys = set(_of_dependent(old, new, snapshot))
    if new is None and old is not None:
        meta = old["metadata"]
        parent, _ = identity.parted(meta["name"])
        if parent:
            keys.add(Key(STATEFULSETS, meta["namespace"], parent))
    return keys


def _of_claim(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """Claims that are gone, or whose owners change, concern the set whose template made them."""
    changed = new or old or {}
    if old is not None and new is not None and owners.references(old) == owners.references(new):
        return
    meta = changed["metadata"]
    prefix, number = identity.parted(meta["name"])
    if number < 0:
        return
    for stateful_set in snapshot.list(STATEFULSETS, meta["namespace"]):
        name = stateful_set["metadata"]["name"]
        if any(prefix == f"{item['metadata']['name']}-{name}" for item in identity.claim_templates(stateful_set)):
            yield key_of(STATEFULSETS, stateful_set)


CONTROLLER = Controller(
    name="statefulset-controller",
    resource=STATEFULSETS,
    watches=(
        Watch(STATEFULSETS, itself(STATEFULSETS)),
        Watch(PODS, _of_pod),
        Watch(PVCS, _of_claim),
        Watch(CONTROLLERREVISIONS, of_revision(STATEFULSETS)),
    ),
    writes=(
        "create, update, patch, delete pods",
        "create, update persistentvolumeclaims",
        "create, update, patch, delete controllerrevisions",
        "update statefulsets/status",
    ),
    reconcile=reconcile,
)
