"""HorizontalPodAutoscalers: one round of one autoscaler.

Input: the autoscaler, the scale of its target, the pods that selects, what the metrics APIs say of them, and what is
remembered of earlier rounds. Output: the scale with another size, the autoscaler's status, events. A round comes every
`sync_period` seconds, and at once after a change of the spec; whatever goes wrong waits for the next one.
Source of the rules and texts: pkg/controller/podautoscaler/horizontal.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import NamedTuple

from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS, HPAS, PODS
from knarr.api.resources import Resource
from knarr.api.semantics import conditions
from knarr.apimachinery import labels
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.controller.podautoscaler import limiting, targets
from knarr.controller.podautoscaler.calculating import Scaled
from knarr.controller.podautoscaler.draft import ABLE, ACTIVE, LIMITED, Draft
from knarr.controller.podautoscaler.memory import Memory, Rescale
from knarr.controller.podautoscaler.metrics import AutoscalerMetrics
from knarr.controller.podautoscaler.proposing import Proposing, Unusable
from knarr.controller.podautoscaler.settings import Settings, tolerances
from knarr.controller.podautoscaler.sources import Sources
from knarr.controller_runtime.changes import DONE, Attempt, Change, Context, EventNote, Result, Update
from knarr.controller_runtime.controller import Controller, Watch, key_of, nobody
from knarr.controller_runtime.snapshot import Key, Snapshot

_NO_SCALE = "the HPA controller was unable to get the target's current scale: {}"


class Invalid(Exception):
    """No metric gives a number; the text is the event's."""


class Wanted(NamedTuple):
    """What the metrics ask for: a size, by which metric, and their entries in the status."""

    replicas: int
    name: str
    statuses: list[Object]


@dataclass(frozen=True, slots=True)
class Round:
    """One round. `scale` is that of the target, `resource` the target's own."""

    draft: Draft
    snapshot: Snapshot
    settings: Settings
    memory: Memory
    key: Key
    resource: Resource
    scale: Object

    @property
    def spec(self) -> Object:
        """The autoscaler's spec."""
        found: Object = self.draft.hpa["spec"]
        return found

    @property
    def current(self) -> int:
        """How many pods the target shall have."""
        return int((self.scale.get("spec") or {}).get("replicas") or 0)

    @property
    def least(self) -> int:
        """The least size."""
        given = self.spec.get("minReplicas")
        return 1 if given is None else int(given)

    @property
    def selector(self) -> str:
        """The target's selector, as text."""
        return str((self.scale.get("status") or {}).get("selector") or "")


@dataclass(slots=True)
class Autoscaling:
    """The controller's function and what it remembers."""

    settings: Settings
    memory: Memory = field(default_factory=Memory)

    def reconcile(self, key: Key, snapshot: Snapshot, context: Context) -> Result:
        """Take the next step of an autoscaler."""
        hpa = snapshot.get(*key)
        if hpa is None:
            self.memory.forget(key)
            return DONE
        record = self.memory.of(key, hpa["metadata"]["uid"])
        refused = _refused_rescale(context)
        record.settle(failed=refused is not None)
        draft = Draft(hpa, context, record, list(conditions.listed(hpa)))
        if refused is not None:
            why = f"the HPA controller was unable to update the target scale: {refused}"
            draft.set(ABLE, "False", "FailedUpdateScale", why)
            return self._later(draft, draft.written())
        try:
            resource = targets.of(hpa["spec"]["scaleTargetRef"], snapshot)
        except targets.TargetError as error:
            return self._no_scale(draft, str(error))
        return self._of_target(draft, key, resource, snapshot)

    def _of_target(self, draft: Draft, key: Key, resource: Resource, snapshot: Snapshot) -> Result:
        name = draft.hpa["spec"]["scaleTargetRef"]["name"]
        wanted = Attempt(resource.path(key.namespace if resource.namespaced else "", name, "scale"))
        live = draft.context.live
        known = Sources(key.namespace, _shown(draft.record.selector), snapshot, live)
        scale = live.get(wanted)
        if scale is None:
            # Most often the selector is as it was: then this is all that has to be asked for.
            guessed = _lookups(draft.hpa, known) if draft.record.selector is not None else ()
            return Result(reads=(wanted, *guessed))
        if scale.get("kind") == "Status":
            return self._no_scale(draft, _why(scale, resource))
        one = Round(draft, snapshot, self.settings, self.memory, key, resource, scale)
        if (missing := _missing(one)) is not None:
            return Result(reads=(wanted, *missing))
        return self._decide(one)

    def _no_scale(self, draft: Draft, why: str) -> Result:
        draft.warn("FailedGetScale", why)
        draft.set(ABLE, "False", "FailedGetScale", _NO_SCALE.format(why))
        return self._later(draft, draft.written())

    def _later(self, draft: Draft, changes: Iterable[Change]) -> Result:
        return Result(tuple(changes), tuple(draft.events), self.settings.sync_period)

    def _decide(self, one: Round) -> Result:
        draft = one.draft
        got = "the HPA controller was able to get the target's current scale"
        draft.set(ABLE, "True", "SucceededGetScale", got)
        if not draft.record.recommendations:
            draft.record.recommend(draft.context.now, one.current, _window(one))
        if one.current == 0 and one.least != 0:
            why = "scaling is disabled since the replica count of the target is zero"
            draft.set(ACTIVE, "False", "ScalingDisabled", why)
            return self._later(draft, draft.written(one.current, one.current))
        if one.current > one.spec["maxReplicas"]:
            return self._rescale(one, one.spec["maxReplicas"], "Current number of replicas above Spec.MaxReplicas")
        if one.current < one.least:
            return self._rescale(one, one.least, "Current number of replicas below Spec.MinReplicas")
        try:
            wanted = _wanted(one)
        except Invalid as error:
            statuses, text = error.args
            draft.warn("FailedComputeMetricsReplicas", text)
            return self._later(draft, draft.written(one.current, metrics=statuses))
        return self._follow(one, wanted)

    def _follow(self, one: Round, wanted: Wanted) -> Result:
        """Go where the metrics point, as fast as may be."""
        draft, current = one.draft, one.current
        found = limiting.limit(_wish(one, wanted.replicas), one.spec.get("behavior"))
        draft.record.recommend(draft.context.now, wanted.replicas, _window(one))
        draft.set(ABLE, "True", *found.able)
        draft.set(LIMITED, "True" if found.is_limited else "False", *found.limit)
        if found.replicas == current:
            return self._later(draft, draft.written(current, current, wanted.statuses))
        reason = ""
        if wanted.replicas > current:
            reason = f"{wanted.name} above target"
        elif wanted.replicas < current:
            reason = "All metrics below target"
        return self._rescale(one, found.replicas, reason, wanted.statuses)

    def _rescale(self, one: Round, replicas: int, reason: str, statuses: list[Object] | None = None) -> Result:
        draft, now = one.draft, one.draft.context.now
        update = "the HPA controller was able to update the target scale to {}"
        draft.set(ABLE, "True", "SucceededRescale", update.format(replicas))
        draft.record.ordered = Rescale(now, one.current, replicas)
        draft.record.forget_rescales(now - limiting.longest_period(one.spec.get("behavior")))
        size = f"New size: {replicas}; reason: {reason}"
        change = Update(
            one.resource,
            {**one.scale, "spec": {**(one.scale.get("spec") or {}), "replicas": replicas}},
            "scale",
            done=EventNote(draft.hpa, "Normal", "SuccessfulRescale", size),
            failed=EventNote(draft.hpa, "Warning", "FailedRescale", f"{size}; error: {{error}}"),
        )
        # The status is written once the scale is: it may as well say so.
        shown = replace(draft, record=replace(draft.record, rescaled_at=now))
        return self._later(draft, (change, *shown.written(one.current, replicas, statuses)))


def _missing(one: Round) -> tuple[Attempt, ...] | None:
    """What has to be asked for and was not; None where all is there, or nothing of it is wanted."""
    needed = one.current != 0 or one.least == 0
    if not needed or not one.least <= one.current <= one.spec["maxReplicas"] or not one.selector:
        return None
    try:
        selector = str(labels.parse(one.selector))
    except (ValueError, StatusError):
        return None
    live = one.draft.context.live
    wanted = _lookups(one.draft.hpa, Sources(one.key.namespace, selector, one.snapshot, live))
    return None if all(each in live for each in wanted) else wanted


def _lookups(hpa: Object, sources: Sources) -> tuple[Attempt, ...]:
    metrics = hpa["spec"].get("metrics") or ()
    return tuple(dict.fromkeys(each for metric in metrics for each in sources.lookups(metric)))


def _wanted(one: Round) -> Wanted:
    """What the metrics ask for together: the most of it. Raises `Invalid`."""
    selector = _selector(one)
    pods = _pods(one, selector)
    _check_alone(one, pods)
    proposing = _proposing(one, selector, pods)
    metrics = one.spec.get("metrics") or []
    best, name = 0, ""
    statuses: list[Object] = []
    unusable: list[Unusable] = []
    for metric in metrics:
        try:
            proposed = proposing.propose(metric)
        except Unusable as error:
            one.draft.warn(error.reason, str(error))
            unusable.append(error)
            statuses.append({"type": ""})
            continue
        statuses.append(proposed.status)
        if not best or proposed.replicas > best:
            best, name = proposed.replicas, proposed.name
    if unusable and (len(unusable) == len(metrics) or best < one.current):
        # Whoever knows only a part of the load must not make anything smaller.
        raise _nothing(one, statuses, unusable)
    found = f"the HPA was able to successfully calculate a replica count from {name}"
    one.draft.set(ACTIVE, "True", "ValidMetricFound", found)
    return Wanted(best, name, statuses)


def _nothing(one: Round, statuses: list[Object], unusable: list[Unusable]) -> Invalid:
    first = unusable[0]
    why = f"the HPA was unable to compute the replica count: {first}"
    one.draft.set(ACTIVE, "False", first.reason, why)
    share = f"{len(unusable)} invalid out of {len(statuses)}"
    return Invalid(statuses, f"invalid metrics ({share}), first error is: {first.told}")


def _selector(one: Round) -> labels.Selector:
    """The selector of the target's pods. Raises `Invalid`."""
    draft = one.draft
    if not one.selector:
        missing = "the HPA target's scale is missing a selector"
        raise _unselected(draft, "SelectorRequired", "selector is required", missing)
    try:
        return draft.record.select(one.selector)
    except (ValueError, StatusError) as error:
        text = f"couldn't convert selector into a corresponding internal selector object: {error}"
        raise _unselected(draft, "InvalidSelector", text, text) from error


def _check_alone(one: Round, pods: list[Object]) -> None:
    """Raises `Invalid` where another autoscaler selects some of the pods."""
    names = _controlling(one, pods)
    if len(names) > 1:
        shown = " ".join(f"{{{name} {one.key.namespace}}}" for name in names)
        text = f"pods by selector {one.selector} are controlled by multiple HPAs: [{shown}]"
        raise _unselected(one.draft, "AmbiguousSelector", text, text)


def _unselected(draft: Draft, reason: str, text: str, message: str) -> Invalid:
    draft.warn(reason, text)
    draft.set(ACTIVE, "False", "InvalidSelector" if reason == "SelectorRequired" else reason, message)
    return Invalid(None, text)


def _controlling(one: Round, pods: list[Object]) -> list[str]:
    """The autoscalers that select any of the pods, by name."""
    # Pods of one workload have few sets of labels between them.
    kinds = {tuple(sorted((pod["metadata"].get("labels") or {}).items())) for pod in pods}
    sets = [dict(each) for each in kinds]
    others = one.memory.selecting(one.key.namespace)
    return sorted(name for name, other in others if any(other.matches(each) for each in sets))


def _pods(one: Round, selector: labels.Selector) -> list[Object]:
    pods = one.snapshot.list(PODS, one.key.namespace)
    if (pair := selector.one_value) is not None:
        # Most pods of a namespace are told apart by one label.
        name, value = pair
        pods = [pod for pod in pods if (pod["metadata"].get("labels") or {}).get(name) == value]
    return [pod for pod in pods if selector.matches(pod["metadata"].get("labels"))]


def _proposing(one: Round, selector: labels.Selector, pods: list[Object]) -> Proposing:
    draft = one.draft
    scaled = Scaled(
        pods=pods,
        replicas=one.current,
        observed=int((one.scale.get("status") or {}).get("replicas") or 0),
        tolerances=tolerances(one.spec, one.settings.tolerance),
        settings=one.settings,
        now=draft.context.now,
    )
    return Proposing(scaled, Sources(one.key.namespace, str(selector), one.snapshot, draft.context.live))


def _wish(one: Round, replicas: int) -> limiting.Wish:
    record = one.draft.record
    return limiting.Wish(
        replicas=replicas,
        current=one.current,
        least=one.least,
        most=one.spec["maxReplicas"],
        now=one.draft.context.now,
        window=one.settings.downscale_stabilization,
        recommendations=record.recommendations,
        rescales=record.rescales,
    )


def _window(one: Round) -> timedelta:
    return limiting.longest_window(one.settings.downscale_stabilization, one.spec.get("behavior"))


def _shown(selector: labels.Selector | None) -> str:
    return str(selector) if selector is not None else ""


def _refused_rescale(context: Context) -> str | None:
    """Why the last round's change of size failed; None where it did not."""
    failure = context.failure
    if failure is None or not isinstance(failure.change, Update) or failure.change.subresource != "scale":
        return None
    return failure.message


def _why(status: Object, resource: Resource) -> str:
    """Why there is no scale, as client-go words it."""
    if status.get("code") == 404 and not (status.get("details") or {}).get("name"):
        return "the server could not find the requested resource"
    return str(status.get("message", ""))


def _changed(old: Object | None, new: Object | None, _snapshot: Snapshot) -> Iterable[Key]:
    """An autoscaler is looked at after a change of its spec; what it writes itself must not wake it."""
    either = new or old or {}
    same = old is not None and new is not None and old.get("spec") == new.get("spec")
    return () if same and _uid(old) == _uid(new) else (key_of(HPAS, either),)


def _uid(obj: Mapping[str, object] | None) -> object:
    meta = (obj or {}).get("metadata")
    return meta.get("uid") if isinstance(meta, dict) else None


def controller(settings: Settings | None = None) -> Controller:
    """The controller with a memory of its own."""
    return Controller(
        name="horizontal-pod-autoscaler",
        resource=HPAS,
        watches=(Watch(HPAS, _changed), Watch(PODS, nobody), Watch(CUSTOMRESOURCEDEFINITIONS, nobody)),
        writes=("update */scale", "update horizontalpodautoscalers/status"),
        reconcile=Autoscaling(settings or Settings()).reconcile,
        title="horizontal-pod-autoscaler-controller",
        component="horizontal-pod-autoscaler",
        observer=AutoscalerMetrics,
    )
