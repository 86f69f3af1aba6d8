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
from knarr.controller_runtime.controller import Controller, Watch, controller_of_changed, itself, key_of
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
    if changes := (*revisions.changes, *pods.changes):
        return Result(changes, requeue_after=0)
    past = history.of(stateful_set, revisions.held, snapshot)
    if owner.is_going and past.changes:
        # It had no more than it has: what is left of it goes, and no revision is written for it.
        return DONE
    return _step(rollout.Plan(stateful_set, past, _by_ordinal(pods.held), snapshot, context), pods.held)


def _by_ordinal(pods: Iterable[Object]) -> dict[int, Object]:
    found = {identity.ordinal(pod): pod for pod in pods}
    found.pop(-1, None)
    return found


def _step(draft: rollout.Plan, held: Sequence[Object]) -> Result:
    stateful_set, past = draft.stateful_set, draft.history
    if not stateful_set["metadata"].get("deletionTimestamp"):
        rollout.plan(draft)
    pods = list(draft.pods.values())
    found = status.of(stateful_set, past, pods, draft.context.now)
    changes: tuple[Change, ...] = past.changes
    if status.differs(stateful_set, found):
        changes += (Update(STATEFULSETS, {**stateful_set, "status": found}, "status"),)
    changes += (*history.surplus(stateful_set, past, held), *draft.changes())
    return Result(changes, tuple(draft.events), requeue_after=_next_check(draft, pods))


def _next_check(draft: rollout.Plan, pods: Sequence[Object]) -> float | None:
    """Seconds until the next pod has been ready for long enough."""
    patience = status.patience(draft.stateful_set)
    if not patience:
        return None
    waits = [pod_state.seconds_until_available(pod, patience, draft.context.now) for pod in pods]
    return min((wait for wait in waits if 0 < wait < math.inf), default=None)


# Whom changes wake


def _of_dependent(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """Owners, and for orphans those that select them."""
    keys = set(controller_of_changed(STATEFULSETS)(old, new, snapshot))
    if new is not None and owners.controller_of(new) is None and not _same_claims(old, new):
        meta = new["metadata"]
        for stateful_set in snapshot.list(STATEFULSETS, meta.get("namespace", "")):
            if labels.from_object(stateful_set["spec"]["selector"]).matches(meta.get("labels")):
                keys.add(key_of(STATEFULSETS, stateful_set))
    return keys


def _same_claims(old: Object | None, new: Object) -> bool:
    if old is None or owners.controller_of(old) is not None:
        return False
    return bool(old["metadata"].get("labels") == new["metadata"].get("labels"))


def _of_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """As above; and a pod that gives a set's name free, whoever had it."""
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
        Watch(CONTROLLERREVISIONS, _of_dependent),
    ),
    writes=(
        "create, update, patch, delete pods",
        "create, update persistentvolumeclaims",
        "create, update, patch, delete controllerrevisions",
        "update statefulsets/status",
    ),
    reconcile=reconcile,
)
