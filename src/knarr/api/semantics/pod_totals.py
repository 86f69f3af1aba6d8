"""What a pod asks for as a whole, with exact quantities: for quotas and limit ranges.

`pod_requests` has the same sums as integers, for scheduling.
https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from knarr.api.semantics.resource_lists import Resources, added, largest, only, parsed
from knarr.apimachinery.types import Object

_NONE: Resources = {}
_POD_LEVEL = ("cpu", "memory")


def requests(pod: Object) -> Resources:
    """What a pod requests from its node, overhead included."""
    spec = pod.get("spec") or {}
    total = {**_total(pod, "requests"), **_own(spec, "requests")}
    return added(total, parsed(spec.get("overhead")))


def limits(pod: Object) -> Resources:
    """What a pod may use at most, as far as it says; overhead counts where there is a limit."""
    spec = pod.get("spec") or {}
    total = {**_total(pod, "limits"), **_own(spec, "limits")}
    limited = {name for name, value in total.items() if value}
    return added(total, only(parsed(spec.get("overhead")), limited))


def of_containers(spec: Object, part: str) -> Resources:
    """`requests` or `limits` of a pod's containers together, or of the largest step of its init containers."""
    return aggregate(spec, lambda container: parsed((container.get("resources") or {}).get(part)))


def aggregate(spec: Object, of: Callable[[Object], Resources]) -> Resources:
    """What `of` gives for each container, for all of them together.

    Init containers that go on running count as containers, and stand beside the later init containers.
    """
    total = reduce(added, map(of, spec.get("containers") or ()), _NONE)
    running: Resources = _NONE
    peak: Resources = _NONE
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            running = added(running, of(container))
            total = added(total, of(container))
            peak = largest(peak, running)
        else:
            peak = largest(peak, added(of(container), running))
    return largest(total, peak)


def own(spec: Object, part: str) -> Resources:
    """What a pod asks for at its own level."""
    return parsed((spec.get("resources") or {}).get(part))


def speaks_for_itself(spec: Object) -> bool:
    """Whether a pod asks for anything at its own level."""
    return any(_own(spec, part) for part in ("requests", "limits"))


def _own(spec: Object, part: str) -> Resources:
    listed = own(spec, part)
    return {name: value for name, value in listed.items() if name in _POD_LEVEL or name.startswith("hugepages-")}


def _total(pod: Object, part: str) -> Resources:
    """As `of_containers`; a running container that is being resized counts with the larger of what it asks and has."""
    status = pod.get("status") or {}
    states = (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ()))
    given = {state.get("name", ""): _given(state, part) for state in states}

    def of(container: Object) -> Resources:
        asked = parsed((container.get("resources") or {}).get(part))
        return largest(asked, given.get(container.get("name", ""), _NONE))

    return aggregate(pod.get("spec") or {}, of)


def _given(state: Object, part: str) -> Resources:
    granted = parsed((state.get("resources") or {}).get(part))
    return largest(granted, parsed(state.get("allocatedResources"))) if part == "requests" else granted
