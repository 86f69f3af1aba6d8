"""Scaling by load: containers that burn CPU make their Deployment larger, and smaller again when they rest."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.cluster import Cluster, until

#: Burns CPU while the folder has a file, as much as its limit allows.
SCRIPT = "while true; do if [ -e /tmp/burn ]; then :; else sleep 2; fi; done"
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: burner}
spec:
  replicas: 1
  selector: {matchLabels: {app: burner}}
  template:
    metadata: {labels: {app: burner}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: burn
        image: busybox
        imagePullPolicy: IfNotPresent
        command: ["sh", "-c", "%s"]
        resources: {requests: {cpu: 200m, memory: 16Mi}, limits: {cpu: 200m}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: burner}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: burner}
  maxReplicas: 2
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 20}}}]
  behavior: {scaleDown: {stabilizationWindowSeconds: 0}}
"""


def status(cluster: Cluster, ns: str) -> Any:
    return cluster.json("get", "hpa", "burner", "-n", ns).get("status") or {}


def size(cluster: Cluster, ns: str) -> int:
    return int(cluster.json("get", "deployment", "burner", "-n", ns)["spec"]["replicas"])


def condition(cluster: Cluster, ns: str, kind: str) -> str:
    found = {one["type"]: one["reason"] for one in status(cluster, ns).get("conditions") or ()}
    return str(found.get(kind, ""))


def rescales(cluster: Cluster, ns: str) -> set[str]:
    found = cluster.json("get", "events", "-n", ns, "--field-selector", "reason=SuccessfulRescale")["items"]
    return {event["message"] for event in found}


def test_a_load_scales_its_deployment_up_and_down_again(cluster: Cluster, ns: str) -> None:
    cluster.apply(MANIFEST % SCRIPT, ns)
    cluster.kubectl("rollout", "status", "deployment/burner", "-n", ns, "--timeout=120s")
    [pod] = cluster.json("get", "pods", "-n", ns, "-l", "app=burner")["items"]
    name = pod["metadata"]["name"]
    cluster.kubectl("exec", "-n", ns, name, "--", "touch", "/tmp/burn")
    until(lambda: size(cluster, ns) == 2, "the Deployment is scaled up", 180)
    told = "New size: 2; reason: cpu resource utilization (percentage of request) above target"
    until(lambda: told in rescales(cluster, ns), "an event tells of it", 60)
    until(lambda: condition(cluster, ns, "ScalingActive") == "ValidMetricFound", "a condition tells of it", 60)
    until(lambda: "%/20%" in cluster.kubectl("get", "hpa", "burner", "-n", ns), "the use is shown", 60)
    cluster.kubectl("exec", "-n", ns, name, "--", "rm", "/tmp/burn")
    until(lambda: size(cluster, ns) == 1, "the Deployment is scaled down", 180)
    # The pod may or may not be the one that is left.
    until(lambda: status(cluster, ns).get("currentReplicas") == 1, "the autoscaler knows", 60)


def test_top_shows_what_nodes_and_pods_use(cluster: Cluster, ns: str) -> None:
    made = MANIFEST.split("---")[0] % SCRIPT
    cluster.apply(made, ns)
    cluster.kubectl("rollout", "status", "deployment/burner", "-n", ns, "--timeout=120s")
    cluster.kubectl("wait", "apiservice/v1beta1.metrics.k8s.io", "--for=condition=Available", "--timeout=60s")
    until(lambda: "burner-" in cluster.try_kubectl("top", "pods", "-n", ns).stdout, "the pod is known", 120)
    header, *rows = cluster.kubectl("top", "pods", "-n", ns, "--containers").splitlines()
    assert header.split() == ["POD", "NAME", "CPU(cores)", "MEMORY(bytes)"] and rows[0].split()[1] == "burn"
    assert ns in cluster.kubectl("top", "pods", "-A", "-l", "app=burner")
    assert "CPU(%)" in cluster.kubectl("top", "nodes") or "CPU%" in cluster.kubectl("top", "nodes")
    [node] = json.loads(cluster.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"))["items"]
    assert node["usage"]["memory"].endswith("Ki")
    table = cluster.kubectl("get", "podmetrics", "-n", ns).splitlines()
    assert table[0].split() == ["NAME", "CPU", "MEMORY", "WINDOW"]
    user = ("--as", f"reader-{ns}")
    assert cluster.try_kubectl("top", "pods", "-n", ns, *user).returncode != 0
    cluster.kubectl("create", "rolebinding", "reader", "-n", ns, "--clusterrole=view", f"--user=reader-{ns}")
    until(lambda: cluster.try_kubectl("top", "pods", "-n", ns, *user).returncode == 0, "who may view may see", 60)
