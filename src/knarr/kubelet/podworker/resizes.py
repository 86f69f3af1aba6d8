"""Containers that get other requests and limits while they run.

Input: the pod's state. Output: what to change in place, and which containers have to start anew for it.
https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
"""

from __future__ import annotations

from knarr.apimachinery.types import Object
from knarr.kubelet.podworker.model import Change, Record, Resized
from knarr.kubelet.podworker.state import PodState


def asked(record: Record) -> Object:
    """The requests and limits that the spec asks for."""
    resources = record.spec.get("resources") or {}
    return {kind: dict(resources[kind]) for kind in ("requests", "limits") if resources.get(kind)}


def outstanding(state: PodState) -> list[Record]:
    """The containers that run with something else than is asked for."""
    kinds = state.of_kind("main", "sidecar")
    return [each for each in kinds if each.running and not each.stopping and each.given != asked(each)]


def to_restart(state: PodState) -> list[Record]:
    """Those of them whose policy is to start anew for it."""
    return [each for each in outstanding(state) if _restarts(each)]


def changes(state: PodState) -> tuple[Change, ...]:
    """What to change in place now: nothing while a change is under way, and nothing that was refused already."""
    if state.resizing:
        return ()
    found = (each for each in outstanding(state) if not _restarts(each))
    return tuple(
        Change(each.name, each.container_id, asked(each))
        for each in found
        if each.refused is None or each.refused[0] != asked(each)
    )


def take(state: PodState, event: Resized) -> None:
    """What became of a change."""
    state.resizing = False
    for change in event.done:
        record = state.records.get(change.name)
        if record is not None and record.container_id == change.container_id:
            record.given, record.refused = change.resources, None
    for change, message in event.refused:
        record = state.records.get(change.name)
        if record is not None and record.container_id == change.container_id:
            record.refused = (change.resources, message)


def _restarts(record: Record) -> bool:
    policies = {each["resourceName"]: each["restartPolicy"] for each in record.spec.get("resizePolicy") or ()}
    wanted = asked(record)
    return any(
        policies.get(resource) == "RestartContainer" and _amounts(record.given, resource) != _amounts(wanted, resource)
        for resource in policies
    )


def _amounts(resources: Object, resource: str) -> list[object]:
    return [(resources.get(kind) or {}).get(resource) for kind in ("requests", "limits")]
