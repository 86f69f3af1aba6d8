"""The everyday verbs, with two versions of kubectl (what a newcomer types first)."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from tests.e2e.cluster import Cluster, kubectls, until
from tests.e2e.manifests import DEPLOYMENT, pod


@pytest.mark.parametrize("binary", kubectls(), ids=["machine", "current"])
def test_first_steps(cluster: Cluster, ns: str, binary: str) -> None:
    def kubectl(*arguments: str, text: str | None = None) -> str:
        return cluster.kubectl("-n", ns, *arguments, text=text, binary=binary)

    assert (
        kubectl("create", "deployment", "my-deployment", "--image=nginx") == "deployment.apps/my-deployment created\n"
    )
    kubectl("rollout", "status", "deployment/my-deployment", "--timeout=180s")
    assert kubectl("expose", "deployment", "my-deployment", "--port=80") == "service/my-deployment exposed\n"
    services = kubectl("get", "services")
    assert services.splitlines()[0].split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    address = services.splitlines()[1].split()[2]
    until(lambda: "Welcome to nginx" in cluster.fetch(f"http://{address}/"), "the page is served")

    pods = kubectl("get", "pods")
    assert pods.splitlines()[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert pods.splitlines()[1].split()[1:4] == ["1/1", "Running", "0"]
    name = pods.splitlines()[1].split()[0]
    assert "NODE" in kubectl("get", "pods", "-o", "wide").splitlines()[0]
    assert json.loads(kubectl("get", "pod", name, "-o", "json"))["status"]["phase"] == "Running"
    assert "phase: Running" in kubectl("get", "pod", name, "-o", "yaml")
    assert kubectl("get", "pod", name, "-o", "name") == f"pod/{name}\n"
    assert kubectl("get", "pod", name, "-o", "jsonpath={.status.phase}") == "Running"
    assert kubectl("get", "pod", name, "-o", "custom-columns=P:.status.phase").split() == ["P", "Running"]
    assert kubectl("get", "pod", name, "-o", "go-template={{.status.phase}}") == "Running"
    assert name in cluster.kubectl("get", "pods", "-A", "-l", "app=my-deployment", binary=binary)
    assert name in kubectl("get", "pods", "--field-selector", "status.phase=Running")
    assert kubectl("get", "pods", "-l", "app=none") == ""
    assert "deployment.apps/my-deployment" in kubectl("get", "all")

    described = kubectl("describe", "pod", name)
    for expected in ("Scheduled", "Pulled", "Created", "Started", "QoS Class:", "BestEffort"):
        assert expected in described
    assert "ScalingReplicaSet" in kubectl("describe", "deployment", "my-deployment")
    assert "Endpoints:" in kubectl("describe", "service", "my-deployment")

    kubectl("label", "deployment", "my-deployment", "tier=front")
    kubectl("annotate", "deployment", "my-deployment", "note=hello")
    kubectl("scale", "deployment", "my-deployment", "--replicas=3")
    kubectl("wait", "deployment/my-deployment", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=180s")
    kubectl("patch", "deployment", "my-deployment", "-p", '{"spec":{"minReadySeconds":0}}')
    kubectl("patch", "deployment", "my-deployment", "--type=merge", "-p", '{"metadata":{"labels":{"tier":"back"}}}')
    kubectl(
        "patch", "deployment", "my-deployment", "--type=json", "-p", '[{"op":"remove","path":"/metadata/labels/tier"}]'
    )
    meta = json.loads(kubectl("get", "deployment", "my-deployment", "-o", "json"))["metadata"]
    assert meta["annotations"]["note"] == "hello"
    assert "tier" not in meta["labels"]
    kubectl("delete", "deployment", "my-deployment", "--wait=false")
    kubectl("wait", "--for=delete", "pods", "-l", "app=my-deployment", "--timeout=180s")
    assert kubectl("get", "replicasets") == ""


def test_rollouts(cluster: Cluster, ns: str) -> None:
    cluster.apply(DEPLOYMENT, ns)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=180s")
    cluster.kubectl("set", "env", "deployment/web", "-n", ns, "COLOR=blue")
    cluster.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=180s")
    cluster.kubectl("set", "image", "deployment/web", "-n", ns, "nginx=docker.io/library/nginx:latest")
    cluster.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=180s")
    history = cluster.kubectl("rollout", "history", "deployment/web", "-n", ns)
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2", "3"]
    assert "COLOR" in cluster.kubectl("rollout", "history", "deployment/web", "-n", ns, "--revision=2")
    cluster.kubectl("rollout", "undo", "deployment/web", "-n", ns, "--to-revision=1")
    cluster.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=180s")
    spec = cluster.json("get", "deployment", "web", "-n", ns)["spec"]["template"]["spec"]
    assert "env" not in spec["containers"][0]
    before = {pod["metadata"]["uid"] for pod in cluster.json("get", "pods", "-n", ns, "-l", "app=web")["items"]}
    cluster.kubectl("rollout", "restart", "deployment/web", "-n", ns)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=180s")

    def replaced() -> bool:
        pods = cluster.json("get", "pods", "-n", ns, "-l", "app=web")["items"]
        return not before & {pod["metadata"]["uid"] for pod in pods}

    until(replaced, "restart replaced every pod")


def test_edit(cluster: Cluster, ns: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster.kubectl("create", "configmap", "c", "-n", ns, "--from-literal=color=red")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/red/green/ "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("KUBE_EDITOR", str(editor))
    assert "edited" in cluster.kubectl("edit", "configmap", "c", "-n", ns)
    assert cluster.json("get", "configmap", "c", "-n", ns)["data"] == {"color": "green"}


def test_watching_shows_changes_as_they_come(cluster: Cluster, ns: str, tmp_path: Path) -> None:
    out = tmp_path / "watched"
    with out.open("wb") as file:
        watch = subprocess.Popen(
            ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "get", "configmaps", "-n", ns, "-w", "--no-headers"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.DEVNULL,
        )
    try:
        until(lambda: "kube-root-ca.crt" in out.read_text(), "the watch began")
        cluster.kubectl("create", "configmap", "fresh", "-n", ns)
        until(lambda: "fresh" in out.read_text(), "the watch showed the new object")
    finally:
        watch.kill()
        watch.wait()


def test_logs_exec_and_cp(cluster: Cluster, ns: str, tmp_path: Path) -> None:
    cluster.apply(pod("box", "for i in 1 2 3; do echo line $i; done; sleep 1000"), ns)
    cluster.kubectl("wait", "pod/box", "-n", ns, "--for=condition=Ready", "--timeout=180s")
    until(lambda: "line 3" in cluster.kubectl("logs", "box", "-n", ns), "logs are complete")
    assert cluster.kubectl("logs", "box", "-n", ns, "--tail=1") == "line 3\n"
    assert cluster.kubectl("exec", "box", "-n", ns, "--", "echo", "hello") == "hello\n"
    # End of input is passed on: `wc` ends only then.
    assert cluster.kubectl("exec", "-i", "box", "-n", ns, "--", "wc", "-c", text="x" * 1000).strip() == "1000"
    failed = cluster.try_kubectl("exec", "box", "-n", ns, "--", "sh", "-c", "echo no >&2; exit 7")
    assert (failed.returncode, failed.stderr.splitlines()[0]) == (7, "no")

    big = tmp_path / "big"
    big.write_bytes(bytes(range(256)) * 4096 * 20)
    cluster.kubectl("cp", str(big), f"{ns}/box:/tmp/big")
    digest = cluster.kubectl("exec", "box", "-n", ns, "--", "sha256sum", "/tmp/big").split()[0]
    assert digest == subprocess.run(["sha256sum", big], capture_output=True, text=True, check=True).stdout.split()[0]
    cluster.kubectl("cp", f"{ns}/box:/tmp/big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == big.read_bytes()


def test_a_terminal_in_a_container(cluster: Cluster, ns: str) -> None:
    import os
    import pty

    cluster.apply(pod("box", "sleep 1000"), ns)
    cluster.kubectl("wait", "pod/box", "-n", ns, "--for=condition=Ready", "--timeout=180s")
    pid, terminal = pty.fork()
    if pid == 0:
        config = str(cluster.kubeconfig)
        os.execvp("kubectl", ["kubectl", "--kubeconfig", config, "exec", "-it", "box", "-n", ns, "--", "sh"])
    seen = b""
    os.write(terminal, b"tty && echo sum $((40 + 2)); exit 3\n")
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            seen += os.read(terminal, 4096)
        except OSError:
            break
    assert b"sum 42" in seen
    assert b"/dev/pts/" in seen
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    os.close(terminal)


def test_following_logs(cluster: Cluster, ns: str) -> None:
    cluster.apply(pod("talker", "for i in 1 2 3; do echo tick $i; sleep 0.5; done"), ns)
    until(lambda: cluster.try_kubectl("logs", "talker", "-n", ns).returncode == 0, "the container has started")
    assert cluster.kubectl("logs", "-f", "talker", "-n", ns).splitlines() == ["tick 1", "tick 2", "tick 3"]


def test_port_forward(cluster: Cluster, ns: str, tmp_path: Path) -> None:
    import re
    import urllib.request

    cluster.apply(DEPLOYMENT, ns)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=180s")
    out = tmp_path / "forward"
    with out.open("wb") as file:
        forward = subprocess.Popen(
            ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "port-forward", "service/web", "-n", ns, ":80"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        port = until(lambda: re.findall(r"127\.0\.0\.1:(\d+)", out.read_text()), "kubectl listens")[0]
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                assert b"Welcome to nginx" in answer.read()
    finally:
        forward.kill()
        forward.wait()


def test_what_the_server_says_of_itself(cluster: Cluster) -> None:
    assert "v1.36.2+knarr" in cluster.kubectl("version")
    resources = cluster.kubectl("api-resources")
    for expected in ("deployments", "networkpolicies", "podisruptionbudgets"[:3]):
        assert expected in resources
    explained = cluster.kubectl("explain", "deployment.spec.strategy")
    assert "rollingUpdate" in explained
    assert "DESCRIPTION" in explained
    assert "restartPolicy" in cluster.kubectl("explain", "pod.spec", "--recursive")
    assert cluster.kubectl("auth", "can-i", "create", "deployments") == "yes\n"
    denied = cluster.try_kubectl("auth", "can-i", "create", "deployments", "--as=somebody")
    assert denied.stdout == "no\n"
    assert "Ready" in cluster.kubectl("get", "nodes")
    assert "is running at" in cluster.kubectl("cluster-info")
