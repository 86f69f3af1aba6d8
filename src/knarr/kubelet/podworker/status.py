"""The pod's status as the kubelet reports it.

Input: the pod worker's state and the wall time. Output: a whole `PodStatus`. Invariant: a terminal phase is told only
once nothing of the pod runs or will run, and is never taken back.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase
"""

from __future__ import annotations

from datetime import datetime

from knarr.api.semantics import qos
from knarr.api.semantics.pod_state import is_terminal
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.kubelet.podworker import pod_conditions, restarts
from knarr.kubelet.podworker.container_status import container_status
from knarr.kubelet.podworker.state import PodState

__all__ = ["generate", "is_terminal", "phase", "reported_containers"]

_TERMINAL = ("Succeeded", "Failed")


def reported_containers(pod: Object) -> dict[str, Object]:
    """The container statuses of a pod as the API server has them, by name."""
    reported = pod.get("status") or {}
    lists = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    return {each["name"]: each for kind in lists for each in reported.get(kind) or ()}


def generate(state: PodState, now: datetime) -> Object:
    """The status. One that was terminal before this kubelet saw the pod stays as it is."""
    if state.foreign_end:
        return dict(state.pod.get("status") or {})
    current = phase(state)
    status: Object = {
        "phase": current,
        "qosClass": (state.pod.get("status") or {}).get("qosClass") or qos.qos_class(state.pod["spec"]),
        "conditions": _conditions(state, current, now),
    }
    status |= _addresses(state)
    if generation := state.pod["metadata"].get("generation"):
        status["observedGeneration"] = generation
    if state.start_time is not None:
        status["startTime"] = timestamps.seconds(state.start_time)
    if state.failure is not None and current == "Failed":
        reason, message = state.failure
        status |= {"reason": reason, "message": message}
    return status | _containers(state)


def _containers(state: PodState) -> Object:
    initializing = bool(state.of_kind("init", "sidecar"))
    ended = _stopped(state)
    out: Object = {}
    for key, kinds in (
        ("initContainerStatuses", ("init", "sidecar")),
        ("containerStatuses", ("main",)),
        ("ephemeralContainerStatuses", ("ephemeral",)),
    ):
        records = state.of_kind(*kinds)
        if records:
            out[key] = [container_status(each, initializing=initializing, lost=ended) for each in records]
    return out


def _addresses(state: PodState) -> Object:
    out: Object = {}
    if state.host_ips:
        out |= {"hostIP": state.host_ips[0], "hostIPs": [{"ip": ip} for ip in state.host_ips]}
    if state.ips:
        # What has ended keeps the address it had.
        out |= {"podIP": state.ips[0], "podIPs": [{"ip": ip} for ip in state.ips]}
    return out


def _conditions(state: PodState, current: str, now: datetime) -> list[Object]:
    generation = state.pod["metadata"].get("generation")
    out = []
    for made in pod_conditions.conditions(state, current, initialized=restarts.mains_begun(state)):
        before = state.conditions.get(made["type"])
        same = before is not None and before.get("status") == made["status"]
        since = before.get("lastTransitionTime") if before is not None and same else timestamps.seconds(now)
        if generation:
            made["observedGeneration"] = generation
        out.append({**made, "lastProbeTime": None, "lastTransitionTime": since})
    return out


def phase(state: PodState) -> str:
    """`Pending`, `Running`, `Succeeded` or `Failed`."""
    natural = _natural_phase(state)
    if _stopped(state):
        if state.failure is not None or natural not in _TERMINAL:
            return _phase_at_end(state)
        return natural
    return "Running" if natural in _TERMINAL else natural


def _stopped(state: PodState) -> bool:
    """Whether the pod has ended and nothing of it runs."""
    return state.ending not in ("", "stopping") and not any(record.running for record in state.records.values())


def _phase_at_end(state: PodState) -> str:
    """A pod that was ended: it succeeded if every container had."""
    ends = [record.exit for record in state.of_kind("main")]
    if state.failure is None and ends and all(each is not None and each.code == 0 for each in ends):
        return "Succeeded"
    return "Failed"


def _natural_phase(state: PodState) -> str:
    """The phase by what the containers are doing, whether or not the pod is being ended."""
    if restarts.init_failed(state):
        return "Failed"
    mains = state.of_kind("main")
    if any(not record.container_id for record in mains):
        return "Pending"
    if any(record.exit is None for record in mains):
        return "Running"
    if any(restarts.restarts(state, record) for record in mains):
        return "Running"
    return "Succeeded" if all(record.exit is not None and record.exit.code == 0 for record in mains) else "Failed"
