"""Which container of a pod a request means.

Input: a pod with its status. Output: container ids, or the words in which Kubernetes refuses.
Source of texts: pkg/kubelet/kubelet_pods.go (validateContainerLogStatus).
"""

from __future__ import annotations

from collections.abc import Iterator

from knarr.apimachinery.types import Object

_KINDS = ("containers", "initContainers", "ephemeralContainers")
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_PULLING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


class NoContainer(Exception):
    """There is no such container to work with; the text says why."""


def names(pod: Object) -> Iterator[str]:
    """The names of all containers of a pod's spec."""
    for kind in _KINDS:
        for one in pod["spec"].get(kind) or ():
            yield one["name"]


def has_terminal(pod: Object, name: str) -> bool:
    """Whether a container was asked to run with a terminal."""
    return any(one["name"] == name and one.get("tty") for kind in _KINDS for one in pod["spec"].get(kind) or ())


def status_of(pod: Object, name: str) -> Object | None:
    """A container's status."""
    status = pod.get("status") or {}
    for kind in _STATUSES:
        for one in status.get(kind) or ():
            if one["name"] == name:
                found: Object = one
                return found
    return None


def running_id(pod: Object, name: str) -> str:
    """The id of a running container. Raises `NoContainer`."""
    status = status_of(pod, name)
    if status is None or "running" not in (status.get("state") or {}) or not status.get("containerID"):
        raise NoContainer(f'container not found ("{name}")')
    return bare(status["containerID"])


def is_running(pod: Object | None, name: str, container_id: str) -> bool:
    """Whether this very container runs (or is about to)."""
    status = status_of(pod, name) if pod is not None else None
    if status is None or bare(status.get("containerID") or "") != container_id:
        return False
    return "terminated" not in (status.get("state") or {})


def log_id(pod: Object, name: str, *, previous: bool) -> str:
    """The id of the container whose log is meant. Raises `NoContainer`."""
    pod_name = pod["metadata"]["name"]
    about = f'container "{name}" in pod "{pod_name}"'
    status = status_of(pod, name)
    if status is None:
        raise NoContainer(f"{about} is not available")
    last = ((status.get("lastState") or {}).get("terminated") or {}).get("containerID") or ""
    if previous:
        if not last:
            raise NoContainer(f'previous terminated container "{name}" in pod "{pod_name}" not found')
        return bare(last)
    return bare(_newest(status, last, about))


def _newest(status: Object, last: str, about: str) -> str:
    state = status.get("state") or {}
    if "running" in state:
        return str(status.get("containerID") or "")
    if "terminated" in state:
        found = state["terminated"].get("containerID") or last
        if not found:
            raise NoContainer(f"{about} is terminated")
        return str(found)
    if last:
        return last
    if "waiting" in state:
        reason = state["waiting"].get("reason") or ""
        raise NoContainer(f"{about} is waiting to start: {_PULLING.get(reason, reason)}")
    raise NoContainer(f"{about} is waiting to start - no logs yet")


def bare(container_id: str) -> str:
    """An id without the runtime's name: `containerd://abc` is `abc`."""
    return container_id.rpartition("://")[2]
