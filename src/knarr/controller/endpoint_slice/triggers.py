"""When what a slice tells now has come about: the annotation that latencies are measured by.

Input: a plan of slices, the slices there are, when pods became ready or ceased to be. Output: the annotation on every
slice that is written; none where what changed has no time.
Source: https://github.com/kubernetes/community/blob/master/sig-scalability/slos/network_programming_latency.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from knarr.api.semantics.slice_plan import Plan
from knarr.apimachinery.types import Object

TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"


def note(plan: Plan, existing: Sequence[Object], service: Object, ready_times: Mapping[str, str]) -> None:
    """Annotate the plan's slices with the earliest change that they tell for the first time."""
    since = _earliest(plan, existing, service, ready_times)
    for item in (*plan.create, *plan.update):
        annotations = {**(item["metadata"].get("annotations") or {})}
        annotations.pop(TRIGGER, None)
        if since:
            annotations[TRIGGER] = since
        item["metadata"] = {**item["metadata"], "annotations": annotations}
        if not annotations:
            del item["metadata"]["annotations"]


def _earliest(plan: Plan, existing: Sequence[Object], service: Object, ready_times: Mapping[str, str]) -> str:
    known = dict(_states(existing))
    changed = [uid for uid, serving in _states((*plan.create, *plan.update)) if known.get(uid) is not serving]
    times = [ready_times[uid] for uid in changed if uid in ready_times]
    if not existing and (made := service["metadata"].get("creationTimestamp")):
        times.append(made)
    return min(times, default="")


def _states(slices: Iterable[Object]) -> Iterator[tuple[str, bool]]:
    """The pods behind slices, and whether each serves."""
    for item in slices:
        for endpoint in item["endpoints"] or ():
            yield endpoint["targetRef"]["uid"], bool(endpoint["conditions"].get("serving"))
