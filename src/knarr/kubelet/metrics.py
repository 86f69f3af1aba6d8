"""The kubelet's metrics. Input: its node's name and pods. Output: the text of `/metrics`.

https://kubernetes.io/docs/reference/instrumentation/metrics/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from knarr.apimachinery.types import Object

_STATES = {"running": "running", "terminated": "exited", "waiting": "created"}
_LISTS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


def render(node_name: str, pods: Iterable[Object]) -> bytes:
    """`kubelet_node_name`, `kubelet_running_pods` (those with a container that runs), `kubelet_running_containers`."""
    states: Counter[str] = Counter()
    running = 0
    for pod in pods:
        found = list(_states(pod.get("status") or {}))
        states.update(found)
        running += "running" in found
    lines = [
        *_head("kubelet_node_name", "The node's name. The count is always 1."),
        f'kubelet_node_name{{node="{node_name}"}} 1',
        *_head("kubelet_running_pods", "Number of pods that have a running pod sandbox"),
        f"kubelet_running_pods {running}",
        *_head("kubelet_running_containers", "Number of containers currently running"),
        *(f'kubelet_running_containers{{container_state="{state}"}} {states[state]}' for state in sorted(states)),
    ]
    return ("\n".join(lines) + "\n").encode()


def _states(status: Object) -> Iterable[str]:
    """The states of the containers that the runtime has."""
    for key in _LISTS:
        for each in status.get(key) or ():
            if each.get("containerID"):
                yield from (_STATES[state] for state in each.get("state") or () if state in _STATES)


def _head(name: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} [ALPHA] {text}", f"# TYPE {name} gauge"
