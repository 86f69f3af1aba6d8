"""The conditions that the kubelet owns.

Input: the phase, container statuses, gates. Output: conditions without times.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from knarr.apimachinery.types import Object
from knarr.kubelet.podworker import resizes
from knarr.kubelet.podworker.model import Record
from knarr.kubelet.podworker.state import PodState

OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def conditions(state: PodState, phase: str, *, initialized: bool) -> list[Object]:
    """The owned conditions in Kubernetes' order. `initialized`: the init containers are behind the pod."""
    containers_ready = _containers_ready(state.of_kind("main", "sidecar"), phase)
    gates = state.pod["spec"].get("readinessGates") or ()
    return [
        _condition("PodReadyToStartContainers", status=bool(state.sandbox_id and state.ips)),
        _initialized(state.of_kind("init", "sidecar"), phase, initialized=initialized),
        _ready(containers_ready, [gate["conditionType"] for gate in gates], _reported(state.pod)),
        containers_ready,
        _condition("PodScheduled", status=True),
        *_resize(state),
    ]


def _resize(state: PodState) -> list[Object]:
    """Told only while containers run with other requests or limits than they are to have."""
    waiting = resizes.outstanding(state)
    refused = [each.refused[1] for each in waiting if each.refused is not None]
    if refused:
        return [_condition("PodResizeInProgress", "Error", "; ".join(refused), status=True)]
    return [_condition("PodResizeInProgress", status=True)] if waiting else []


def _condition(kind: str, reason: str = "", message: str = "", *, status: bool = False) -> Object:
    out: Object = {"type": kind, "status": "True" if status else "False"}
    if reason:
        out["reason"] = reason
    if message:
        out["message"] = message
    return out


def _reported(pod: Object) -> Mapping[str, str]:
    return {each["type"]: each["status"] for each in (pod.get("status") or {}).get("conditions") or ()}


def _initialized(records: Iterable[Record], phase: str, *, initialized: bool) -> Object:
    if phase == "Succeeded":
        return _condition("Initialized", "PodCompleted", status=True)
    waiting = [record.name for record in records if not _is_through(record)]
    if initialized or not waiting:
        return _condition("Initialized", status=True)
    message = f"containers with incomplete status: [{' '.join(waiting)}]"
    return _condition("Initialized", "ContainersNotInitialized", message)


def _is_through(record: Record) -> bool:
    return record.started if record.kind == "sidecar" else record.exit is not None and record.exit.code == 0


def _containers_ready(records: Sequence[Record], phase: str) -> Object:
    if phase == "Succeeded":
        return _condition("ContainersReady", "PodCompleted")
    if phase == "Failed":
        return _condition("ContainersReady", "PodFailed")
    unready = [record.name for record in records if not (record.running and record.ready)]
    if not unready:
        return _condition("ContainersReady", status=True)
    message = f"containers with unready status: [{' '.join(_in_order(records, unready))}]"
    return _condition("ContainersReady", "ContainersNotReady", message)


def _in_order(records: Sequence[Record], names: Sequence[str]) -> list[str]:
    """Sidecars first, as the spec has them."""
    return [record.name for record in sorted(records, key=lambda each: each.kind != "sidecar") if record.name in names]


def _ready(containers_ready: Object, gates: Sequence[str], reported: Mapping[str, str]) -> Object:
    if containers_ready["status"] != "True":
        return {**containers_ready, "type": "Ready"}
    messages = []
    for gate in gates:
        if gate not in reported:
            messages.append(f'corresponding condition of pod readiness gate "{gate}" does not exist.')
        elif reported[gate] != "True":
            messages.append(f'the status of pod readiness gate "{gate}" is not "True", but {reported[gate]}')
    if messages:
        return _condition("Ready", "ReadinessGatesNotReady", ", ".join(messages))
    return _condition("Ready", status=True)
