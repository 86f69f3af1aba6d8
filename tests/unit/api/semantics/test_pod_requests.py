from __future__ import annotations

from typing import Any

from knarr.api.semantics.pod_requests import NOMINAL, effective_limits, effective_requests, host_ports


def container(cpu: str = "", memory: str = "", **more: Any) -> dict[str, Any]:
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"name": "c", "resources": {"requests": requests, "limits": requests}, **more}


def test_containers_add_up_and_the_largest_init_step_counts() -> None:
    pod = {
        "spec": {
            "containers": [container("100m", "1Mi"), container("0.2", "2Mi")],
            "initContainers": [container("1"), container("500m", "1Gi")],
            "overhead": {"cpu": "10m"},
        }
    }
    assert effective_requests(pod) == {"cpu": 1010, "memory": 1 << 30}


def test_sidecars_run_beside_later_steps_and_containers() -> None:
    pod = {
        "spec": {
            "containers": [container("100m")],
            "initContainers": [container("200m", restartPolicy="Always"), container("250m")],
        }
    }
    assert effective_requests(pod) == {"cpu": 450}


def test_pod_level_requests_win() -> None:
    pod = {"spec": {"containers": [container("100m", "1Mi")], "resources": {"requests": {"cpu": "2"}}}}
    assert effective_requests(pod) == {"cpu": 2000, "memory": 1 << 20}


def test_nominal_requests_fill_in_what_containers_do_not_say() -> None:
    pod = {"spec": {"containers": [container("1"), container()]}}
    assert effective_requests(pod, nominal=True) == {"cpu": 1100, "memory": 2 * NOMINAL["memory"]}
    assert effective_requests(pod) == {"cpu": 1000}


def test_a_resize_counts_with_the_larger_of_asked_and_given() -> None:
    pod = {
        "spec": {"containers": [container("100m", "1Mi")]},
        "status": {"containerStatuses": [{"name": "c", "allocatedResources": {"cpu": "300m", "memory": "500Ki"}}]},
    }
    assert effective_requests(pod) == {"cpu": 300, "memory": 1 << 20}


def test_limits_and_ports() -> None:
    spec = {
        "containers": [container("1", ports=[{"containerPort": 1, "hostPort": 80}, {"containerPort": 2}])],
        "initContainers": [
            container(restartPolicy="Always", ports=[{"hostPort": 81, "protocol": "UDP", "hostIP": "1.2.3.4"}]),
            container(ports=[{"hostPort": 82}]),
        ],
        "overhead": {"cpu": "1", "memory": "1"},
    }
    assert effective_limits({"spec": spec}) == {"cpu": 2000}
    assert list(host_ports(spec)) == [("0.0.0.0", "TCP", 80), ("1.2.3.4", "UDP", 81)]
