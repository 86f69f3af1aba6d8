"""The kubelet's figures, grabbed through the API server's node proxy as monitoring does."""

from __future__ import annotations

import json

from tests.e2e.cluster import Cluster, until
from tests.e2e.manifests import pod


def samples(text: str, name: str, *labels: str) -> list[float]:
    """The values of a metric's samples that have all these labels."""
    lines = (line for line in text.splitlines() if line.startswith((name + "{", name + " ")))
    found = (line for line in lines if all(label in line for label in labels))
    return [float((line.rpartition("}")[2] if "}" in line else line.partition(" ")[2]).split()[0]) for line in found]


def test_figures_of_a_node_its_pods_and_probes(cluster: Cluster, ns: str) -> None:
    made = pod(
        "box",
        "while true; do :; done",
        "volumes: [{name: v, emptyDir: {}}]",
        """\
resources: {limits: {cpu: 200m, memory: 64Mi}}
readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
volumeMounts: [{name: v, mountPath: /v}]
""",
    )
    cluster.apply(made, ns)
    cluster.kubectl("wait", "pod/box", f"--namespace={ns}", "--for=condition=Ready", "--timeout=180s")
    node = cluster.kubectl("get", "nodes", "-o", "name").strip().removeprefix("node/")

    def get(path: str) -> str:
        return cluster.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/{path}")

    mine = (f'namespace="{ns}"', 'pod="box"')
    until(
        lambda: samples(get("metrics/cadvisor"), "container_cpu_cfs_throttled_periods_total", *mine)[:1] > [0.0],
        "the kernel throttles the container",
    )
    cadvisor = get("metrics/cadvisor")
    assert samples(cadvisor, "container_cpu_usage_seconds_total", *mine)[0] > 0
    assert samples(cadvisor, "container_spec_memory_limit_bytes", *mine) == [64 << 20]
    assert samples(cadvisor, "container_network_receive_bytes_total", *mine, 'interface="eth0"')
    assert samples(get("metrics/resource"), "pod_memory_working_set_bytes", *mine)[0] > 0
    probed = samples(get("metrics/probes"), "prober_probe_total", *mine, 'result="successful"', '"Readiness"')
    assert probed[0] >= 1
    kubelet = get("metrics")
    assert samples(kubelet, "kubelet_running_pods")[0] >= 1
    assert samples(kubelet, "rest_client_requests_total", 'code="200"')[0] >= 1
    assert samples(kubelet, "kubelet_runtime_operations_total", '"start_container"')[0] >= 1
    [report] = [one for one in json.loads(get("stats/summary"))["pods"] if one["podRef"]["namespace"] == ns]
    assert report["cpu"]["usageCoreNanoSeconds"] > 0
    assert report["network"]["name"] == "eth0"
    assert "v" in {volume["name"] for volume in report["volume"]}
    assert report["process_stats"]["process_count"] >= 2
