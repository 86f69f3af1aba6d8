"""Sizing outside of a rollout: a Deployment that was scaled, or is paused, spreads its size over its ReplicaSets."""

from __future__ import annotations

import math

from knarr.apimachinery.types import Object
from knarr.controller.deployment import replica_sets as sets
from knarr.controller.deployment.draft import Draft


def is_scaling(draft: Draft) -> bool:
    """Whether the Deployment's size was changed since its ReplicaSets were sized."""
    wanted = sets.replicas(draft.deployment)
    known = (sets.desired(replica_set) for replica_set in sets.active(draft.all))
    return any(size is not None and size != wanted for size in known)


def scale(draft: Draft) -> None:
    """Size the ReplicaSets: all to the only active one, else in proportion."""
    wanted = sets.replicas(draft.deployment)
    single = _active_or_latest(draft)
    if single is not None:
        if sets.replicas(single) != wanted:
            draft.scale(single, wanted)
        return
    if _is_saturated(draft):
        for old in sets.active(draft.old):
            draft.scale(old, 0)
        return
    if sets.is_rolling(draft.deployment):
        _in_proportion(draft)


def _active_or_latest(draft: Draft) -> Object | None:
    """The only ReplicaSet that counts, or None when several have pods."""
    running = sets.active(draft.all)
    if len(running) == 1:
        return running[0]
    if running:
        return None
    return draft.new or (sets.by_age(draft.old)[-1] if draft.old else None)


def _is_saturated(draft: Draft) -> bool:
    new, wanted = draft.new, sets.replicas(draft.deployment)
    if new is None:
        return False
    sizes = (sets.replicas(new), sets.desired(new), sets.counted(new, "availableReplicas"))
    return sizes == (wanted, wanted, wanted)


def _in_proportion(draft: Draft) -> None:
    deployment = draft.deployment
    wanted = sets.replicas(deployment)
    running = sets.active(draft.all)
    allowed = wanted + sets.max_surge(deployment) if wanted else 0
    to_add = allowed - sets.total(running)
    ordered = _largest_first(running, newest=to_add > 0)
    sizes, added = [], 0
    for replica_set in ordered:
        share = _share(replica_set, deployment, to_add, added)
        added += share
        sizes.append(sets.replicas(replica_set) + share)
    if sizes and to_add:
        sizes[0] = max(0, sizes[0] + to_add - added)
    for replica_set, size in zip(ordered, sizes, strict=True):
        draft.scale(replica_set, size)


def _largest_first(running: list[Object], *, newest: bool) -> list[Object]:
    """By size; of the same size the newest (or the oldest) first."""
    by_age = sets.by_age(running)
    if newest:
        by_age.reverse()
    return sorted(by_age, key=sets.replicas, reverse=True)


def _share(replica_set: Object, deployment: Object, to_add: int, added: int) -> int:
    """How many of the pods to add (or, negative, to remove) fall to one ReplicaSet."""
    left = to_add - added
    if not to_add or not left:
        return 0
    fraction = _fraction(replica_set, deployment)
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(replica_set: Object, deployment: Object) -> int:
    size, wanted = sets.replicas(replica_set), sets.replicas(deployment)
    if wanted == 0:
        return -size
    before = sets.most(replica_set) or int((deployment.get("status") or {}).get("replicas") or 0)
    if not before:
        return 0
    exact = size * (wanted + sets.max_surge(deployment)) / before
    return math.floor(exact + 0.5) - size
