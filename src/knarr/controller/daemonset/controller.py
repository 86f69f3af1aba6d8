"""DaemonSets: one round of one set.

Input: a set, all nodes, its pods and revisions. Output: the set's status, revisions to write, pods to create on nodes
that lack one, pods to delete.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from knarr.api.registry import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS
from knarr.api.semantics import pod_state, taints
from knarr.apimachinery import labels
from knarr.apimachinery.types import Object
from knarr.controller.daemonset import bounds, history, manage, rollout, status
from knarr.controller.daemonset.draft import Draft, by_node
from knarr.controller.daemonset.failures import Failures
from knarr.controller.daemonset.placement import Placement
from knarr.controller_runtime.changes import DONE, Change, Context, EventNote, Result, Update
from knarr.controller_runtime.claims import Owner, claim
from knarr.controller_runtime.controller import Controller, Watch, itself, key_of
from knarr.controller_runtime.dependents import of_dependent, of_revision, revision_was_refused
from knarr.controller_runtime.snapshot import Key, Snapshot

_EVERYTHING = "This daemon set is selecting all pods. A non-empty selector is required."


def controller() -> Controller:
    """The controller; it remembers how often pods have failed on which nodes."""
    failures = Failures()

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        daemon_set = snapshot.get(*key)
        if daemon_set is None or daemon_set["metadata"].get("deletionTimestamp"):
            return DONE
        if not any((daemon_set["spec"].get("selector") or {}).values()):
            return Result(events=(EventNote(daemon_set, "Warning", "SelectingAll", _EVERYTHING),))
        owner = Owner(DAEMONSETS, daemon_set, labels.from_object(daemon_set["spec"]["selector"]))
        revisions = claim(owner, CONTROLLERREVISIONS, snapshot, context)
        pods = claim(owner, PODS, snapshot, context)
        if reads := {*revisions.reads, *pods.reads}:
            return Result(reads=tuple(reads))
        if pods.changes:
            return Result(pods.changes, requeue_after=0)
        past = history.of(daemon_set, revisions.held, pods.held, snapshot)
        fit = Placement(daemon_set).fit
        fits = {node["metadata"]["name"]: fit(node) for node in snapshot.list(NODES)}
        draft = Draft(daemon_set, past.hash, fits, by_node(pods.held), context)
        manage.manage(draft, failures)
        tidying = () if revision_was_refused(context) else (*past.rewritten, *revisions.changes)
        return _step(draft, past, pods.held, tidying)

    return Controller(
        name="daemon-set-controller",
        component="daemonset-controller",
        resource=DAEMONSETS,
        watches=(
            Watch(DAEMONSETS, itself(DAEMONSETS)),
            Watch(PODS, of_dependent(DAEMONSETS)),
            Watch(CONTROLLERREVISIONS, of_revision(DAEMONSETS)),
            Watch(NODES, _of_node),
        ),
        writes=(
            "create, delete, patch pods",
            "create, update, patch, delete controllerrevisions",
            "update daemonsets/status",
        ),
        reconcile=reconcile,
    )


def _step(draft: Draft, past: history.History, held: Sequence[Object], tidying: tuple[Change, ...]) -> Result:
    daemon_set = draft.daemon_set
    if not draft.wanted and not draft.doomed and bounds.is_rolling(daemon_set):
        rollout.roll(draft)
    changes: tuple[Change, ...] = past.changes
    found = status.of(draft, past.collisions)
    if found != (daemon_set.get("status") or {}):
        changes += (Update(DAEMONSETS, {**daemon_set, "status": found}, "status"),)
    changes += (*draft.changes(), *history.surplus(daemon_set, past, held), *tidying)
    return Result(changes, requeue_after=_next_check(draft))


def _next_check(draft: Draft) -> float | None:
    """Seconds until the next pod has been ready for long enough, or the next failed one may go."""
    waits = list(draft.waits)
    if draft.patience:
        pods = (pod for found in draft.pods.values() for pod in found)
        waits += [pod_state.seconds_until_available(pod, draft.patience, draft.context.now) for pod in pods]
    return min((wait for wait in waits if 0 < wait < math.inf), default=None)


# Whom changes wake


def _of_node(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """Those whose pods fit a node now and did not before, or the other way round."""
    if old is not None and new is not None and _seen_alike(old, new):
        return
    for daemon_set in snapshot.list(DAEMONSETS):
        fit = Placement(daemon_set).fit
        before, after = (None if node is None else fit(node) for node in (old, new))
        if before != after and (old is not None or (after is not None and after.run)):
            yield key_of(DAEMONSETS, daemon_set)


def _seen_alike(old: Object, new: Object) -> bool:
    same_labels = old["metadata"].get("labels") == new["metadata"].get("labels")
    return bool(same_labels and taints.listed(old) == taints.listed(new))
