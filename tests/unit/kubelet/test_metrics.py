"""The kubelet's metrics."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from knarr.apimachinery.types import Object
from knarr.component_base.clock import RealClock
from knarr.component_base.metrics import Registry
from knarr.cri.fake import FakeRuntime
from knarr.cri.runtime import CriError
from knarr.kubelet.measured_runtime import measured
from knarr.kubelet.metrics import KubeletMetrics, PodMetrics, RuntimeMetrics


def pod(*states: str, name: str = "p") -> Object:
    statuses = [{"containerID": "containerd://1", "state": {state: {}}} for state in states]
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
        "spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]},
        "status": {"containerStatuses": [*statuses, {"state": {"waiting": {}}}]},
    }


def samples(text: bytes, prefix: str) -> list[str]:
    return [line for line in text.decode().splitlines() if line.startswith(prefix)]


def made(pods: list[Object], inside: PodMetrics | None = None) -> KubeletMetrics:
    return KubeletMetrics("n1", lambda: pods, RuntimeMetrics(), inside or PodMetrics())


def test_pods_and_containers_are_counted_by_what_they_do() -> None:
    ended = {**pod("terminated"), "status": {"phase": "Succeeded"}}
    text = made([pod("running", "terminated"), pod("running"), pod("terminated"), ended]).text()
    assert samples(text, "kubelet_") == [
        'kubelet_node_name{node="n1"} 1',
        "kubelet_running_pods 2",
        'kubelet_running_containers{container_state="exited"} 2',
        'kubelet_running_containers{container_state="running"} 2',
        'kubelet_active_pods{static="false"} 3',
        'kubelet_desired_pods{static="false"} 4',
    ]


def test_containers_are_counted_by_their_kind() -> None:
    inside = PodMetrics()
    for name in ("c", "i", "c"):
        inside.container_started(pod(), name)
    assert samples(made([], inside).text(), "kubelet_started") == [
        'kubelet_started_containers_total{container_type="container"} 2',
        'kubelet_started_containers_total{container_type="init_container"} 1',
    ]


def test_probes_are_counted_until_their_pod_is_gone() -> None:
    inside = PodMetrics()
    one, other = pod(name="one"), pod(name="other")
    inside.probed(one, "c", "readiness", "failed", 0.2)
    inside.probed(other, "c", "liveness", "successful", 0.2)
    inside.forget(one)
    text = made([], inside).probes.text()
    assert samples(text, "prober_probe_total") == [
        'prober_probe_total{probe_type="Liveness",result="successful",container="c",pod="other",namespace="default",'
        'pod_uid="uid-other"} 1'
    ]
    assert not [line for line in text.decode().splitlines() if 'pod="one"' in line]


def test_requests_are_told_by_the_first_part_of_their_path() -> None:
    metrics = made([])
    metrics.request("GET", "/containerLogs/default/p/c", 0.1)
    metrics.request("GET", "/metrics/cadvisor", 0.1)
    assert samples(metrics.text(), "kubelet_http_requests_total") == [
        'kubelet_http_requests_total{method="GET",path="containerLogs",server_type="readwrite",long_running="true"} 1',
        'kubelet_http_requests_total{method="GET",path="metrics",server_type="readwrite",long_running="false"} 1',
    ]


def test_calls_of_the_runtime_are_counted_and_pass_through() -> None:
    async def main() -> None:
        metrics = RuntimeMetrics()
        runtime = measured(FakeRuntime(RealClock(), []), metrics)
        assert await runtime.list_containers() == []
        assert await runtime.list_containers() == []
        with pytest.raises(CriError):
            await runtime.container_status("none")
        text = Registry(metrics.families()).text()
        assert samples(text, "kubelet_runtime_operations_total") == [
            'kubelet_runtime_operations_total{operation_type="list_containers"} 2',
            'kubelet_runtime_operations_total{operation_type="container_status"} 1',
        ]
        assert samples(text, "kubelet_runtime_operations_errors_total") == [
            'kubelet_runtime_operations_errors_total{operation_type="container_status"} 1'
        ]

    asyncio.run(main())


def test_starts_are_timed_from_first_sight_and_from_creation() -> None:
    inside = PodMetrics()
    made_ = {**pod(), "metadata": {**pod()["metadata"], "creationTimestamp": "2026-01-01T00:00:00Z"}}
    inside.pod_started(made_, datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC), 1.5)
    text = made([], inside).text()
    assert samples(text, "kubelet_pod_start_duration_seconds_sum") == ["kubelet_pod_start_duration_seconds_sum 1.5"]
    assert samples(text, "kubelet_pod_start_total_duration_seconds_sum") == [
        "kubelet_pod_start_total_duration_seconds_sum 7"
    ]
