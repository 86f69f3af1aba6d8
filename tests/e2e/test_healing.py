"""Self-healing: killed containers, deleted pods, rollouts that keep their promise."""

from __future__ import annotations

import threading

from tests.e2e.cluster import Cluster, until
from tests.e2e.manifests import DEPLOYMENT, pod


def test_a_crashing_container_is_restarted_with_back_off(cluster: Cluster, ns: str) -> None:
    cluster.apply(pod("crash", "sleep 0.2; exit 3", restart="Always"), ns)

    def status() -> dict[str, object]:
        found = cluster.json("get", "pod", "crash", "-n", ns)["status"].get("containerStatuses") or [{}]
        return dict(found[0])

    until(lambda: int(str(status().get("restartCount", 0))) >= 2, "it was started again twice")
    until(lambda: "CrashLoopBackOff" in str(status().get("state")), "it waits longer")
    assert "'exitCode': 3" in str(status()["lastState"])
    assert "BackOff" in cluster.kubectl("get", "events", "-n", ns)
    assert "CrashLoopBackOff" in cluster.kubectl("get", "pod", "crash", "-n", ns)


def test_a_killed_process_comes_back_in_the_same_pod(cluster: Cluster, ns: str) -> None:
    cluster.apply(pod("box", "sleep 1000 & wait", restart="Always"), ns)
    cluster.kubectl("wait", "pod/box", "-n", ns, "--for=condition=Ready", "--timeout=180s")
    before = cluster.json("get", "pod", "box", "-n", ns)
    cluster.try_kubectl("exec", "box", "-n", ns, "--", "sh", "-c", "kill -9 -1")

    def restarted() -> bool:
        status = cluster.json("get", "pod", "box", "-n", ns)["status"]["containerStatuses"][0]
        return bool(status["restartCount"] == 1 and status["ready"])

    # The shell is process 1 of its namespace: its child's end ends it.
    until(restarted, "the container runs again")
    after = cluster.json("get", "pod", "box", "-n", ns)
    assert before["metadata"]["uid"] == after["metadata"]["uid"]
    assert before["status"]["podIP"] == after["status"]["podIP"]


def test_a_deleted_pod_is_replaced(cluster: Cluster, ns: str) -> None:
    cluster.apply(DEPLOYMENT, ns)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=180s")
    name = cluster.kubectl("get", "pods", "-n", ns, "-l", "app=web", "-o", "name").split()[0]
    cluster.kubectl("delete", name, "-n", ns)
    cluster.kubectl("wait", "deployment/web", "-n", ns, "--for=jsonpath={.status.readyReplicas}=2", "--timeout=180s")
    assert name not in cluster.kubectl("get", "pods", "-n", ns, "-l", "app=web", "-o", "name")


def test_a_rolling_update_keeps_its_promise_and_undo_restores(cluster: Cluster, ns: str) -> None:
    cluster.apply(DEPLOYMENT, ns)
    strategy = '{"spec":{"replicas":4,"strategy":{"rollingUpdate":{"maxUnavailable":1,"maxSurge":1}}}}'
    cluster.kubectl("patch", "deployment", "web", "-n", ns, "-p", strategy)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=180s")
    address = cluster.json("get", "service", "web", "-n", ns)["spec"]["clusterIP"]
    until(lambda: cluster.fetch(f"http://{address}/host"), "the Service answers")
    done = threading.Event()
    unavailable: list[int] = []
    missed: list[int] = []

    def observe() -> None:
        while not done.is_set():
            pods = cluster.json("get", "pods", "-n", ns, "-l", "app=web")["items"]
            alive = [one for one in pods if "deletionTimestamp" not in one["metadata"]]
            ready = [one for one in alive if _ready(one)]
            unavailable.append(len(ready))
            missed.append(0 if cluster.fetch(f"http://{address}/host") else 1)

    observer = threading.Thread(target=observe)
    observer.start()
    try:
        cluster.kubectl("set", "env", "deployment/web", "-n", ns, "COLOR=blue")
        cluster.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=180s")
        cluster.kubectl("rollout", "undo", "deployment/web", "-n", ns)
        cluster.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=180s")
    finally:
        done.set()
        observer.join()
    assert min(unavailable) >= 3
    assert sum(missed) == 0
    assert "env" not in cluster.json("get", "deployment", "web", "-n", ns)["spec"]["template"]["spec"]["containers"][0]


def _ready(one: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in one["status"].get("conditions", []))
