"""The runtime's container statuses in the pod worker's terms. Input: CRI messages. Output: `Seen`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from knarr.cri.messages import ContainerState
from knarr.kubelet.podworker.model import Exit, Seen
from knarr.wire.messages import Message

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seen(status: Message, message: Callable[[bool], str] = lambda failed: "") -> Seen:
    """A `ContainerStatus`. `message(failed)` gives what the container said at its end."""
    container_id, started = str(status["id"]), moment(status["started_at"])
    ended = None
    if status["state"] in (ContainerState.EXITED, ContainerState.UNKNOWN):
        code = int(status["exit_code"])
        own = message(code != 0) or str(status["message"])
        finished = moment(status["finished_at"]) or started or moment(status["created_at"]) or _EPOCH
        # One that never came to run started, so the kubelet's status says, when time began.
        ended = Exit(container_id, code, _reason(status, code), own, started or _EPOCH, finished)
    image = (status.get("image") or {}).get("image", "")
    return Seen(container_id, int(status["metadata"]["attempt"]), image, status["image_ref"], started, ended)


def _reason(status: Message, code: int) -> str:
    if status["state"] == ContainerState.UNKNOWN:
        return "ContainerStatusUnknown"
    return str(status["reason"]) or ("Error" if code else "Completed")


def moment(nanoseconds: int) -> datetime | None:
    """A time as the runtime tells it; None for never."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000) if nanoseconds > 0 else None


def sandbox_ips(status: Message, host_ips: tuple[str, ...], *, host_network: bool) -> tuple[str, ...]:
    """The addresses of a sandbox (`PodSandboxStatus`), the main one first; a pod of the node's network has its."""
    if host_network:
        return host_ips
    network = status.get("network") or {}
    more = (each["ip"] for each in network.get("additional_ips") or ())
    return tuple(ip for ip in (network.get("ip", ""), *more) if ip)
