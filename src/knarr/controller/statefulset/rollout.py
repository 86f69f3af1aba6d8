"""The next steps of a set: pods to create, to put right, to give up, and to replace by new ones.

With `OrderedReady` the steps go up the ordinals, and each waits until the pods before it are available; with `Parallel`
none waits. Replacing goes down the ordinals, one pod at a time, whatever the policy. Pods are only given up or replaced
when none is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from knarr.api.registry import PODS
from knarr.api.semantics import pod_state, revisions
from knarr.apimachinery.types import Object
from knarr.controller.statefulset import identity, status, volume_claims
from knarr.controller.statefulset.history import History
from knarr.controller_runtime.changes import Change, Context, Create, Delete, EventNote, Update
from knarr.controller_runtime.snapshot import Snapshot

#: Pods created in a round.
_BURST = 500


@dataclass(slots=True)
class Plan:
    """One round for one set. `pods` are its own by ordinal; the lists fill up with what is to be done."""

    stateful_set: Object
    history: History
    pods: dict[int, Object]
    snapshot: Snapshot
    context: Context
    deletes: list[Change] = field(default_factory=list)
    creates: list[Create] = field(default_factory=list)
    updates: list[Change] = field(default_factory=list)
    events: list[EventNote] = field(default_factory=list)

    @property
    def in_order(self) -> bool:
        """Whether each step waits for the one before."""
        return bool(self.stateful_set["spec"].get("podManagementPolicy") != "Parallel")

    def is_available(self, pod: Object) -> bool:
        """Whether a pod is available and stays."""
        return not status.is_going(pod) and status.is_available(pod, self.stateful_set, self.context.now)

    def changes(self) -> list[Change]:
        """Everything, claims before the pods that use them."""
        claims = [change for change in self.creates if change.resource is not PODS]
        pods = [change for change in self.creates if change.resource is PODS]
        return [*self.deletes, *claims, *pods, *self.updates]


def plan(draft: Plan) -> None:
    """Fill in the steps."""
    if _tend_replicas(draft) and _give_up(draft):
        _replace(draft)


# Pods that shall be there


def _tend_replicas(draft: Plan) -> bool:
    """Create and put right pods; whether all that is needed for the next steps is there."""
    complete = True
    for number in identity.ordinals(draft.stateful_set):
        pod = draft.pods.get(number)
        settled = _fill(draft, number) if pod is None else _tend(draft, pod)
        complete = complete and (settled or pod is not None)
        if draft.in_order and not settled:
            return False
        if len(draft.creates) >= _BURST:
            return False
    return complete


def _fill(draft: Plan, number: int) -> bool:
    """Create a pod, unless its name or its claims are not free yet; never settled."""
    meta = draft.stateful_set["metadata"]
    name = f"{meta['name']}-{number}"
    if draft.snapshot.get(PODS, meta["namespace"], name) is not None:
        return False
    if volume_claims.waits_for_predecessor(draft.stateful_set, number, draft.snapshot):
        return False
    missing = volume_claims.missing(draft.stateful_set, number, draft.snapshot, for_new_pod=True)
    draft.creates += missing.creates
    if missing.going:
        why = f"create Pod {name} in StatefulSet {meta['name']} failed error: pvc {missing.going} is being deleted"
        draft.events.append(EventNote(draft.stateful_set, "Warning", "FailedCreate", why))
        return False
    draft.creates.append(_create(draft, number))
    return False


def _create(draft: Plan, number: int) -> Create:
    stateful_set, history = draft.stateful_set, draft.history
    made_of = history.current if _keeps_current(stateful_set, number) else history.update
    template = revisions.template_in(made_of)
    pod = identity.new_pod(stateful_set, template, number, made_of["metadata"]["name"])
    return Create(PODS, pod, *_told(stateful_set, "create", pod))


def _keeps_current(stateful_set: Object, number: int) -> bool:
    """Whether a new pod of an ordinal is still made of the revision before."""
    strategy = stateful_set["spec"].get("updateStrategy") or {}
    if strategy.get("type") != "RollingUpdate":
        return False
    rolling = strategy.get("rollingUpdate")
    known = stateful_set.get("status") or {}
    kept = known.get("currentReplicas") if rolling is None else rolling.get("partition")
    return bool(number < identity.ordinals(stateful_set).start + int(kept or 0))


def _tend(draft: Plan, pod: Object) -> bool:
    """Put a pod right; whether the steps after it need not wait for it."""
    stateful_set, snapshot = draft.stateful_set, draft.snapshot
    if pod_state.is_terminal(pod):
        if not status.is_going(pod):
            draft.deletes.append(_delete(stateful_set, pod))
        return False
    if pod_state.phase(pod) == "Pending":
        number = identity.ordinal(pod)
        draft.creates += volume_claims.missing(stateful_set, number, snapshot, for_new_pod=False).creates
        draft.updates += volume_claims.reowned(stateful_set, pod, snapshot)
    available = draft.is_available(pod)
    if draft.in_order and not available:
        return False
    if pod_state.phase(pod) != "Pending":
        draft.updates += volume_claims.reowned(stateful_set, pod, snapshot)
    if not identity.is_right(stateful_set, pod):
        fixed = identity.put_right(stateful_set, pod)
        draft.updates.append(Update(PODS, fixed, "", *_told(stateful_set, "update", pod)))
    return available


# Pods that shall go


def _give_up(draft: Plan) -> bool:
    """Delete pods beyond the ordinals asked for, the last one first; whether none is left."""
    wanted = identity.ordinals(draft.stateful_set)
    numbers = sorted((number for number in draft.pods if number not in wanted), reverse=True)
    condemned = [draft.pods[number] for number in numbers]
    for pod in condemned:
        draft.updates += volume_claims.reowned(draft.stateful_set, pod, draft.snapshot)
    unfit = [pod for pod in condemned if not draft.is_available(pod)]
    for pod in condemned:
        if not draft.in_order:
            if not status.is_going(pod):
                draft.updates.append(_delete(draft.stateful_set, pod))
            continue
        # The lowest of those that are not available may go: nothing waits for it. One that has ended will never be
        # available: Kubernetes waits for it all the same, and for ever where there are two.
        fit = draft.is_available(pod) or pod_state.is_terminal(pod) or pod is unfit[-1]
        if fit and not status.is_going(pod):
            draft.updates.append(_delete(draft.stateful_set, pod))
        return False
    return True


# Pods of an old revision


def _replace(draft: Plan) -> None:
    strategy = draft.stateful_set["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return
    wanted = identity.ordinals(draft.stateful_set)
    first = wanted.start + int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    update = draft.history.update["metadata"]["name"]
    for number in reversed(range(first, wanted.stop)):
        pod = draft.pods.get(number)
        if pod is None or pod_state.is_terminal(pod):
            return
        if identity.revision(pod) != update and not status.is_going(pod):
            draft.updates.append(_delete(draft.stateful_set, pod))
            return
        if not draft.is_available(pod):
            return


# Changes and their events


def _delete(stateful_set: Object, pod: Object) -> Delete:
    meta = pod["metadata"]
    done, failed = _told(stateful_set, "delete", pod)
    return Delete(PODS, meta["namespace"], meta["name"], uid=meta["uid"], done=done, failed=failed)


def _told(stateful_set: Object, verb: str, pod: Object) -> tuple[EventNote, EventNote]:
    """The events for a change of a pod that is done, and that has failed."""
    what = f"{verb} Pod {pod['metadata']['name']} in StatefulSet {stateful_set['metadata']['name']}"
    done = EventNote(stateful_set, "Normal", f"Successful{verb.title()}", f"{what} successful")
    return done, EventNote(stateful_set, "Warning", f"Failed{verb.title()}", f"{what} failed error: {{error}}")
