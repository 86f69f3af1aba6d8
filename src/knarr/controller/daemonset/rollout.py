"""Replacing pods of an old template, node by node.

Without surge old pods are deleted while enough nodes have an available pod; with surge a node gets its new pod first.
Invariant: no available pod is given up beyond `maxUnavailable` nodes, no more than `maxSurge` nodes get a second pod.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from knarr.apimachinery.types import Object
from knarr.controller.daemonset import bounds
from knarr.controller.daemonset.draft import Draft
from knarr.controller.daemonset.placement import Fit

_GONE = Fit(run=False, stay=False)


class _On(NamedTuple):
    """What a node has: at most one pod of each template, unless it is `mixed`."""

    node: str
    new: Object | None = None
    old: Object | None = None
    mixed: bool = False


def roll(draft: Draft) -> None:
    """One step of a rolling update."""
    wanted = sum(fit.run for fit in draft.fits.values())
    surge = bounds.max_surge(draft.daemon_set, wanted)
    if surge:
        _surge(draft, surge, wanted)
    else:
        _replace(draft, bounds.max_unavailable(draft.daemon_set, wanted))


def _nodes(draft: Draft) -> Iterator[_On]:
    """Nodes that shall have a pod, and those that have one."""
    bare = [node for node, fit in draft.fits.items() if fit.run and node not in draft.pods]
    for node in (*draft.pods, *bare):
        staying = [pod for pod in draft.pods.get(node, ()) if not pod["metadata"].get("deletionTimestamp")]
        new = [pod for pod in staying if draft.is_new(pod)]
        old = [pod for pod in staying if not draft.is_new(pod)]
        if len(new) > 1 or len(old) > 1:
            yield _On(node, mixed=True)
        else:
            yield _On(node, new[0] if new else None, old[0] if old else None)


def _replace(draft: Draft, most: int) -> None:
    """Delete old pods: those that are of no use at once, the others as far as the bound allows."""
    unavailable, candidates = 0, []
    for on in _nodes(draft):
        if on.mixed or (on.new is None) == (on.old is None):
            unavailable += 1
        elif on.new is not None:
            unavailable += not draft.is_available(on.new)
        elif on.old is not None and not draft.is_available(on.old):
            draft.doom(on.old)
            unavailable += 1
        elif on.old is not None:
            candidates.append(on.old)
    for pod in candidates[: max(0, most - unavailable)]:
        draft.doom(pod)


def _surge(draft: Draft, most: int, wanted: int) -> None:
    """Create new pods beside old ones; old ones go when the new ones are available."""
    surging, available = 0, 0
    candidates: list[str] = []
    misplaced: list[Object] = []
    for on in _nodes(draft):
        if on.mixed:
            surging += 1
            continue
        first = on.old or on.new
        available += first is not None and draft.is_available(first)
        if on.old is None:
            continue
        if on.new is not None:
            surging += _has_surged(draft, on.old, on.new)
        elif not draft.fits.get(on.node, _GONE).run:
            misplaced.append(on.old)
        elif draft.is_available(on.old):
            candidates.append(on.node)
        else:
            draft.wanted.append(on.node)
    _drop_misplaced(draft, misplaced, available - wanted)
    draft.wanted += candidates[: max(0, most - surging)]


def _has_surged(draft: Draft, old: Object, new: Object) -> bool:
    """Of a node with both pods: whether it counts as one that has two; the old one goes when the new one is there."""
    if draft.is_available(new):
        draft.doom(old)
        return False
    return True


def _drop_misplaced(draft: Draft, pods: list[Object], spare: int) -> None:
    """Old pods on nodes that shall have none: the useless at once, the others when enough are available elsewhere."""
    for pod in pods:
        if not draft.is_available(pod):
            draft.doom(pod)
        elif spare > 0:
            spare -= 1
            draft.doom(pod)
