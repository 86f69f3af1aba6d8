"""The steps of a rollout, rolling or recreating.

Invariants of a rolling step: no more pods are asked for than `replicas + maxSurge`, and old pods that are available
are given up only while at least `replicas - maxUnavailable` stay available.
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.semantics import pod_state
from knarr.apimachinery.types import Object
from knarr.controller.deployment import replica_sets as sets
from knarr.controller.deployment.draft import Draft


def roll(draft: Draft) -> None:
    """One step: grow the new ReplicaSet, or else shrink the old ones."""
    if not _grow_new(draft):
        _shrink_old(draft)


def _grow_new(draft: Draft) -> bool:
    new, wanted = draft.new, sets.replicas(draft.deployment)
    if new is None or sets.replicas(new) == wanted:
        return False
    if sets.replicas(new) > wanted:
        return draft.scale(new, wanted)
    return draft.scale(new, sets.new_size(draft.deployment, draft.all, new))


def _shrink_old(draft: Draft) -> None:
    deployment, new = draft.deployment, draft.new
    if new is None or not sets.total(draft.old):
        return
    least = sets.replicas(deployment) - sets.max_unavailable(deployment)
    new_missing = sets.replicas(new) - sets.staying(new)
    surplus = sets.total(draft.all) - least - new_missing
    if surplus <= 0:
        return
    _drop_unhealthy(draft, surplus)
    _drop_available(draft, least)


def _drop_unhealthy(draft: Draft, most: int) -> None:
    """Old pods that are not available go first: they would only hold up the rollout."""
    for old in sets.by_age(sets.active(draft.old)):
        unhealthy = sets.replicas(old) - sets.staying(old)
        dropped = min(most, unhealthy)
        if dropped > 0:
            draft.scale(old, sets.replicas(old) - dropped)
            most -= dropped


def _drop_available(draft: Draft, least: int) -> None:
    surplus = sum(map(sets.staying, draft.all)) - least
    for old in sets.by_age(sets.active(draft.old)):
        dropped = min(surplus, sets.replicas(old))
        if dropped > 0:
            draft.scale(old, sets.replicas(old) - dropped)
            surplus -= dropped


def give_up_old(draft: Draft) -> bool:
    """Recreating, first step: all old pods go; whether there was one to give up."""
    resized = [draft.scale(old, 0) for old in sets.active(draft.old)]
    return any(resized)


def old_pods_left(draft: Draft, pods: Sequence[Object]) -> bool:
    """Recreating: whether an old pod still runs. `pods` are those of the old ReplicaSets."""
    if sets.total_counted(draft.old, "replicas") > 0:
        return True
    return any(not pod_state.is_terminal(pod) for pod in pods)


def bring_up_new(draft: Draft) -> None:
    """Recreating, last step."""
    if draft.new is not None:
        draft.scale(draft.new, sets.replicas(draft.deployment))
