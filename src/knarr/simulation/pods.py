"""What the kubelet of a simulated node would write of a pod. Pure.

Source of the shapes: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from typing import Any

from knarr.apimachinery.types import Object
from knarr.simulation.stages import PodState

_ENDED = ("Succeeded", "Failed")


def status(pod: Object, state: PodState, now: str, host: str, address: str) -> Object:
    """A strategic merge patch of the status that makes a pod look like `state` at `now` (RFC 3339, whole seconds)."""
    ended = state.phase in _ENDED
    out: Object = {
        "phase": state.phase,
        "conditions": _conditions(state, now),
        "containerStatuses": [_container(pod, each, state, now) for each in pod["spec"]["containers"]],
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "observedGeneration": pod["metadata"].get("generation", 1),
    }
    initial = pod["spec"].get("initContainers")
    if initial:
        out["initContainerStatuses"] = [_initial(pod, each, state, now) for each in initial]
    if not pod.get("status", {}).get("startTime"):
        out["startTime"] = now
    if address and not ended:
        out |= {"podIP": address, "podIPs": [{"ip": address}]}
    for name in ("reason", "message"):
        if ended and getattr(state, name):
            out[name] = getattr(state, name)
    return {"metadata": {"uid": pod["metadata"]["uid"]}, "status": out}


def uses_host_network(pod: Object) -> bool:
    """Whether the pod has its node's address."""
    return bool(pod["spec"].get("hostNetwork"))


def _conditions(state: PodState, now: str) -> list[Object]:
    running, ended = state.phase == "Running", state.phase in _ENDED
    reason = "PodCompleted" if state.phase == "Succeeded" else "PodFailed" if ended else "ContainersNotReady"
    ready = running and state.ready
    truths = {
        "PodReadyToStartContainers": running,
        "Initialized": running or ended,
        "Ready": ready,
        "ContainersReady": ready,
    }
    return [
        {"type": name, "status": str(truth), "lastTransitionTime": now, "reason": "" if truth else reason}
        for name, truth in truths.items()
    ]


def _container(pod: Object, container: Object, state: PodState, now: str) -> Object:
    running = state.phase == "Running"
    return {
        **_named(pod, container),
        "state": _state(pod, state, now),
        "started": running,
        "ready": running and state.ready,
    }


def _initial(pod: Object, container: Object, state: PodState, now: str) -> Object:
    """Init containers have ended well; sidecars do what the others do."""
    if container.get("restartPolicy") == "Always":
        return _container(pod, container, state, now)
    if state.phase == "Pending":
        return {**_named(pod, container), "state": _state(pod, state, now), "started": False, "ready": False}
    done = {"terminated": _terminated(pod, 0, "Completed", now)}
    return {**_named(pod, container), "state": done, "started": False, "ready": True}


def _named(pod: Object, container: Object) -> Object:
    image = container.get("image", "")
    container_id = f"simulated://{pod['metadata']['uid']}/{container['name']}"
    return {
        "name": container["name"],
        "image": image,
        "imageID": f"simulated://{image}",
        "containerID": container_id,
        "restartCount": 0,
    }


def _state(pod: Object, state: PodState, now: str) -> Object:
    if state.phase == "Running":
        return {"running": {"startedAt": now}}
    if state.phase == "Pending":
        return {"waiting": {"reason": state.reason or "ContainerCreating", "message": state.message}}
    reason = state.reason or ("Completed" if state.exit_code == 0 else "Error")
    return {"terminated": _terminated(pod, state.exit_code, reason, now)}


def _terminated(pod: Object, exit_code: int, reason: str, now: str) -> dict[str, Any]:
    started = pod.get("status", {}).get("startTime") or now
    return {"exitCode": exit_code, "reason": reason, "startedAt": started, "finishedAt": now}
