"""Says of each PodDisruptionBudget how many of its pods may be disrupted now.

Input: a budget, the pods it selects, and the workloads they belong to. Output: the budget's status. Evictions spend
what the status allows and note the pod there; a noted pod does not count as healthy until it is gone, or for 2 minutes.
Source: https://kubernetes.io/docs/concepts/workloads/pods/disruptions/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from knarr.api.registry import PODDISRUPTIONBUDGETS, PODS
from knarr.api.resources import Resource
from knarr.api.semantics import disruptions, pod_state
from knarr.apimachinery import intstr, labels, timestamps
from knarr.apimachinery.types import Object
from knarr.controller.disruption import stale
from knarr.controller.disruption.expected import WATCHED, Count, Uncountable, count, unanswered
from knarr.controller_runtime.changes import DONE, Context, EventNote, Result, Update
from knarr.controller_runtime.controller import Controller, KeysOf, Watch, itself, key_of
from knarr.controller_runtime.snapshot import Key, Snapshot

#: How long an evicted pod may take to be deleted.
_PATIENCE = timedelta(minutes=2)
#: Seconds after which a budget is looked at again whose count failed.
_RETRY = 30.0
_UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of "
    "the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please "
    'set ".spec.minAvailable" field of the PDB to an integer value.'
)


class _Wanted(NamedTuple):
    """How many pods a budget expects, and how many of them must be healthy."""

    expected: int
    healthy: int


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Count a budget's pods; of a pod, see whether its disruption is overdue."""
    if key.resource is PODS:
        return stale.reconcile(key, snapshot, context)
    budget = snapshot.get(*key)
    if budget is None:
        return DONE
    pods = _selected(budget, snapshot)
    events = () if pods else (EventNote(budget, "Normal", "NoPods", "No matching pods found"),)
    try:
        found = count(pods, snapshot, context.live) if _counts_workloads(budget) else Count()
        if reads := unanswered(found, context.live):
            return Result(reads=reads)
        wanted = _wanted(budget, pods, found.expected)
    except (Uncountable, ValueError) as error:
        text = f"Failed to calculate the number of expected pods: {error}"
        events = (*events, EventNote(budget, "Warning", "CalculateExpectedPodCountFailed", text))
        return _written(budget, _unsure(budget, str(error), context.now), events, _RETRY)
    if found.unmanaged:
        events = (*events, EventNote(budget, "Warning", "UnmanagedPods", _UNMANAGED.format(_shown(budget))))
    events = (*events, *_shared(budget, pods, snapshot))
    known = (budget.get("status") or {}).get("disruptedPods") or {}
    awaited = {name: since for name, since in known.items() if _is_awaited(name, since, pods, context.now)}
    late = [_not_deleted(pod, budget) for pod in pods if pod["metadata"]["name"] in set(known) - set(awaited)]
    status = _status(budget, wanted, _healthy(pods, awaited), awaited, context.now)
    return _written(budget, status, (*events, *(note for note in late if note)), _next(awaited, context.now))


def _shown(budget: Object) -> str:
    """A selector as Kubernetes' texts show it."""
    selector = budget["spec"].get("selector") or {}
    pairs = "".join(f"{name}: {value}," for name, value in sorted((selector.get("matchLabels") or {}).items()))
    terms = "".join(
        f"LabelSelectorRequirement{{Key:{item['key']},Operator:{item['operator']},"
        f"Values:[{' '.join(item.get('values') or ())}],}},"
        for item in selector.get("matchExpressions") or ()
    )
    matched = f"MatchLabels:map[string]string{{{pairs}}},MatchExpressions:[]LabelSelectorRequirement{{{terms}}},"
    return f"&LabelSelector{{{matched}}}"


def _selected(budget: Object, snapshot: Snapshot) -> Sequence[Object]:
    found, matches = snapshot.list(PODS, budget["metadata"]["namespace"]), _matcher(budget)
    return [pod for pod in found if matches(pod["metadata"].get("labels") or {})]


def _matcher(budget: Object) -> Callable[[Mapping[str, str]], bool]:
    """Whether a budget selects labels; one whose selector nobody can read selects none."""
    try:
        return labels.from_object((budget.get("spec") or {}).get("selector")).matches
    except ValueError:
        return lambda _: False


def _shared(budget: Object, pods: Sequence[Object], snapshot: Snapshot) -> Iterable[EventNote]:
    """Pods of several budgets, which nobody can evict; the first of these budgets tells of it."""
    name, namespace = budget["metadata"]["name"], budget["metadata"]["namespace"]
    budgets = snapshot.list(PODDISRUPTIONBUDGETS, namespace)
    before = [_matcher(item) for item in budgets if item["metadata"]["name"] < name]
    after = [_matcher(item) for item in budgets if item["metadata"]["name"] > name]
    for pod in pods if before or after else ():
        have = pod["metadata"].get("labels") or {}
        # The first that selects it settles the matter: many budgets over many pods are looked through once.
        if not any(matches(have) for matches in before) and any(matches(have) for matches in after):
            place = f'"{namespace}"/"{pod["metadata"]["name"]}"'
            message = f'Pod {place} matches multiple PodDisruptionBudgets.  Chose "{name}" arbitrarily.'
            yield EventNote(pod, "Warning", "MultiplePodDisruptionBudgets", message)


def _counts_workloads(budget: Object) -> bool:
    """Whether the size of the pods' workloads matters: not for a plain number of available pods."""
    spec = budget.get("spec") or {}
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def _wanted(budget: Object, pods: Sequence[Object], expected: int) -> _Wanted:
    """Raises `ValueError`."""
    spec = budget.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if most is not None:
        return _Wanted(expected, max(0, expected - intstr.scaled(most, expected, round_up=True)))
    if isinstance(least, int):
        return _Wanted(len(pods), least)
    if least is None:
        return _Wanted(0, 0)
    return _Wanted(expected, intstr.scaled(least, expected, round_up=True))


def _is_awaited(name: str, since: str, pods: Sequence[Object], now: datetime) -> bool:
    """Whether an evicted pod is there still and has time left to go."""
    pod = next((pod for pod in pods if pod["metadata"]["name"] == name), None)
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return False
    return timestamps.parse(since) + _PATIENCE >= now


def _not_deleted(pod: Object, budget: Object) -> EventNote | None:
    if pod["metadata"].get("deletionTimestamp"):
        return None
    name = f"{budget['metadata']['namespace']}/{budget['metadata']['name']}"
    return EventNote(pod, "Warning", "NotDeleted", f"Pod was expected by PDB {name} to be deleted but it wasn't")


def _healthy(pods: Sequence[Object], awaited: Mapping[str, str]) -> int:
    return sum(
        1
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp")
        and pod["metadata"]["name"] not in awaited
        and pod_state.is_ready(pod)
    )


def _status(budget: Object, wanted: _Wanted, healthy: int, awaited: Mapping[str, str], now: datetime) -> Object:
    allowed = healthy - wanted.healthy
    status: Object = {
        "observedGeneration": budget["metadata"].get("generation", 0),
        "disruptionsAllowed": allowed if wanted.expected > 0 and allowed > 0 else 0,
        "currentHealthy": healthy,
        "desiredHealthy": wanted.healthy,
        "expectedPods": wanted.expected,
    }
    if awaited:
        status["disruptedPods"] = dict(awaited)
    status["conditions"] = (budget.get("status") or {}).get("conditions") or []
    return disruptions.with_allowed(status, timestamps.seconds(now))


def _unsure(budget: Object, why: str, now: datetime) -> Object:
    """Nothing is allowed while nobody can count."""
    status = {**(budget.get("status") or {}), "disruptionsAllowed": 0}
    return disruptions.with_allowed(status, timestamps.seconds(now), failure=why)


def _written(budget: Object, status: Object, events: tuple[EventNote, ...], again: float | None) -> Result:
    if status == (budget.get("status") or {}):
        return Result(requeue_after=again)
    update = Update(PODDISRUPTIONBUDGETS, {**budget, "status": status}, "status")
    return Result((update,), events, again)


def _next(awaited: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the first evicted pod is late."""
    ends = [timestamps.parse(since) + _PATIENCE for since in awaited.values()]
    return max(0.0, (min(ends) - now).total_seconds()) + 1.0 if ends else None


def _of_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A pod concerns the budgets that select it, or did; and itself, where its disruption was announced."""
    yield from stale.of_pod(old, new)
    found = [pod for pod in (old, new) if pod is not None]
    for budget in snapshot.list(PODDISRUPTIONBUDGETS, found[0]["metadata"]["namespace"]):
        matches = _matcher(budget)
        if any(matches(pod["metadata"].get("labels") or {}) for pod in found):
            yield key_of(PODDISRUPTIONBUDGETS, budget)


def _of_scale(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """Another number of replicas concerns every budget of the namespace."""
    replicas = [None if obj is None else (obj.get("spec") or {}).get("replicas") for obj in (old, new)]
    if replicas[0] == replicas[1]:
        return ()
    namespace = (new or old or {})["metadata"]["namespace"]
    return [key_of(PODDISRUPTIONBUDGETS, budget) for budget in snapshot.list(PODDISRUPTIONBUDGETS, namespace)]


_WAKES: tuple[tuple[Resource, KeysOf], ...] = (
    (PODDISRUPTIONBUDGETS, itself(PODDISRUPTIONBUDGETS)),
    (PODS, _of_pod),
    *((resource, _of_scale) for resource in WATCHED.values()),
)
CONTROLLER = Controller(
    name="disruption-controller",
    queue="disruption",
    resource=PODDISRUPTIONBUDGETS,
    watches=tuple(Watch(resource, keys) for resource, keys in _WAKES),
    writes=("update poddisruptionbudgets/status", "patch pods/status"),
    reconcile=reconcile,
    component="controllermanager",
)
