"""The row of a pod: ready, status, restarts.

The status is the phase, unless a container, an init container or the pod's end says something more precise.
Source of the rules: k8s.io/kubernetes/pkg/printers/internalversion (printPod).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from knarr.api.printers.text import NONE, age, since
from knarr.apimachinery.types import Object

_ENDS = {
    "Succeeded": ("Succeeded", "The pod has completed successfully."),
    "Failed": ("Failed", "The pod failed."),
}


@dataclass(slots=True)
class _Tally:
    """What has been counted so far."""

    reason: str
    #: What the first failed container says, where another one's "Completed" would hide it.
    failure: str = ""
    ready: int = 0
    restarts: int = 0
    last_restart: str = ""

    def count(self, status: Object) -> None:
        self.restarts += int(status.get("restartCount") or 0)
        ended = (status.get("lastState") or {}).get("terminated") or {}
        self.last_restart = max(self.last_restart, ended.get("finishedAt") or "")


def cells(pod: Object, now: datetime) -> list[Any]:
    """Name, ready, status, restarts, age; IP, node, nominated node, readiness gates."""
    spec, status = pod["spec"], pod.get("status") or {}
    init = {one["name"]: one.get("restartPolicy") == "Always" for one in spec.get("initContainers") or ()}
    total = len(spec.get("containers") or ()) + sum(init.values())
    tally = _tally(pod, init)
    restarts = str(tally.restarts)
    if tally.restarts and tally.last_restart:
        restarts += f" ({since(tally.last_restart, now)} ago)"
    ips = status.get("podIPs") or [{"ip": status.get("podIP")}]
    return [
        pod["metadata"]["name"],
        f"{tally.ready}/{total}",
        _final(pod, tally.reason),
        restarts,
        age(pod, now),
        ips[0].get("ip") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(spec, status),
    ]


def row_conditions(pod: Object) -> list[Object]:
    """A pod that has ended is marked, so that clients can grey it out."""
    end = _ENDS.get((pod.get("status") or {}).get("phase", ""))
    if end is None:
        return []
    return [{"type": "Completed", "status": "True", "reason": end[0], "message": end[1]}]


def _tally(pod: Object, init: dict[str, bool]) -> _Tally:
    status = pod.get("status") or {}
    reason = status.get("reason") or status.get("phase") or ""
    if _has_condition(status, "PodScheduled", None, "SchedulingGated"):
        reason = "SchedulingGated"
    tally = _Tally(reason)
    sidecars = _Tally("")
    initializing = _initializing(status.get("initContainerStatuses") or (), init, tally, sidecars)
    if not initializing or _has_condition(status, "Initialized", "True"):
        tally.restarts, tally.last_restart = sidecars.restarts, sidecars.last_restart
        _running(status, tally)
    return tally


def _initializing(statuses: Iterable[Object], init: dict[str, bool], tally: _Tally, sidecars: _Tally) -> bool:
    """Go through the init containers up to the first that is not done; whether there is one."""
    for number, one in enumerate(statuses):
        sidecar = init.get(one["name"], False)
        tally.count(one)
        if sidecar:
            sidecars.count(one)
        ended = (one.get("state") or {}).get("terminated")
        if ended is not None and not ended.get("exitCode"):
            continue
        if sidecar and one.get("started"):
            tally.ready += bool(one.get("ready"))
            continue
        tally.reason = "Init:" + _init_reason(one, f"{number}/{len(init)}")
        return True
    return False


def _init_reason(one: Object, progress: str) -> str:
    state = one.get("state") or {}
    if (ended := state.get("terminated")) is not None:
        return ended.get("reason") or _code(ended)
    waiting = (state.get("waiting") or {}).get("reason", "")
    return waiting if waiting and waiting != "PodInitializing" else progress


def _running(status: Object, tally: _Tally) -> None:
    running = False
    for one in reversed(status.get("containerStatuses") or ()):
        tally.count(one)
        state = one.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            tally.reason = waiting["reason"]
        elif ended is not None:
            tally.reason = ended.get("reason") or _code(ended)
            tally.failure = tally.reason if ended.get("exitCode") else tally.failure
        elif one.get("ready") and state.get("running") is not None:
            running = True
            tally.ready += 1
    if tally.reason == "Completed":
        tally.reason = _completed(status, tally, running=running)


def _completed(status: Object, tally: _Tally, *, running: bool) -> str:
    """What a pod shows whose first container is done: others may still run, or have failed."""
    if running and _has_condition(status, "Ready", "True"):
        return "Running"
    return tally.failure or ("NotReady" if running else tally.reason)


def _code(ended: Object) -> str:
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _final(pod: Object, reason: str) -> str:
    """A pod on its way out says so, unless it has ended or its node is lost."""
    status = pod.get("status") or {}
    if "deletionTimestamp" not in pod["metadata"]:
        return reason
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return reason if status.get("phase") in _ENDS else "Terminating"


def _gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates") or ()
    met = sum(_has_condition(status, gate["conditionType"], "True") for gate in gates)
    return f"{met}/{len(gates)}" if gates else NONE


def _has_condition(status: Object, kind: str, value: str | None, reason: str | None = None) -> bool:
    return any(
        one["type"] == kind and value in (None, one.get("status")) and reason in (None, one.get("reason"))
        for one in status.get("conditions") or ()
    )
