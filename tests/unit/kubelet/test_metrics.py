"""The kubelet's metrics."""

from __future__ import annotations

from knarr.apimachinery.types import Object
from knarr.kubelet.metrics import render


def pod(*states: str) -> Object:
    statuses = [{"containerID": "containerd://1", "state": {state: {}}} for state in states]
    return {"status": {"containerStatuses": [*statuses, {"state": {"waiting": {}}}]}}


def test_pods_and_containers_are_counted_by_what_they_do() -> None:
    lines = render("n1", [pod("running", "terminated"), pod("running"), pod("terminated"), {}]).decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'kubelet_node_name{node="n1"} 1',
        "kubelet_running_pods 2",
        'kubelet_running_containers{container_state="exited"} 2',
        'kubelet_running_containers{container_state="running"} 2',
    ]
