"""The specification's [sig-cli] behaviours that no other test shows, with kubectl and real containers."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.manifests import pod

CONTROLLER = """
apiVersion: v1
kind: ReplicationController
metadata: {name: demo, labels: {app: demo}}
spec:
  replicas: 2
  selector: {app: demo}
  template:
    metadata: {labels: {app: demo}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: server, image: nginx, imagePullPolicy: IfNotPresent, ports: [{containerPort: 80}]}]
"""
#: A store of entries (one line each): GET /add?entry=… keeps one, GET / gives all. `UPSTREAM` asks another one.
STORE = """
import os, urllib.parse, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
entries, upstream = [], os.environ.get("UPSTREAM")
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if upstream:
            body = urllib.request.urlopen(upstream + self.path, timeout=60).read()
        else:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            entries.extend(query.get("entry", []))
            body = "\\n".join(entries).encode()
        self.send_response(200); self.end_headers(); self.wfile.write(body)
    def log_message(self, *words): pass
ThreadingHTTPServer(("", 6379), Handler).serve_forever()
"""


def tier(name: str, replicas: int, upstream: str) -> str:
    env = f"env: [{{name: UPSTREAM, value: '{upstream}'}}]" if upstream else "env: []"
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{tier: {name}}}, ports: [{{port: 6379}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{tier: {name}}}}}
  template:
    metadata: {{labels: {{tier: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: store
        image: python
        imagePullPolicy: IfNotPresent
        command: [python3, -c, {json.dumps(STORE)}]
        {env}
        readinessProbe: {{tcpSocket: {{port: 6379}}, periodSeconds: 1}}
"""


def running(cluster: Cluster, ns: str, count: int) -> bool:
    items = cluster.json("get", "pods", "-n", ns, "-l", "app=demo")["items"]
    return [item["status"]["phase"] for item in items] == ["Running"] * count


def test_a_guestbook_of_three_tiers(cluster: Cluster, ns: str) -> None:
    tiers = (("primary", 1, ""), ("replica", 2, "http://primary:6379"), ("frontend", 3, "http://replica:6379"))
    for name, replicas, upstream in tiers:
        cluster.apply(tier(name, replicas, upstream), ns)
    for name, _, _ in tiers:
        cluster.kubectl("rollout", "status", f"deployment/{name}", "-n", ns, "--timeout=180s")
    address = cluster.json("get", "service", "frontend", "-n", ns)["spec"]["clusterIP"]
    until(lambda: cluster.in_node("busybox", "wget", "-qO-", f"http://{address}:6379/").returncode == 0, "it answers")
    cluster.fetch(f"http://{address}:6379/?entry=TestEntry")
    until(lambda: cluster.fetch(f"http://{address}:6379/") == "TestEntry", "the entry is kept")
    cluster.kubectl("delete", "deployments,services", "-n", ns, "--all")
    until(lambda: not cluster.json("get", "pods", "-n", ns)["items"], "all pods are gone")


def test_a_replication_controller_is_made_scaled_exposed_and_described(cluster: Cluster, ns: str) -> None:
    cluster.apply(CONTROLLER, ns)
    until(lambda: running(cluster, ns, 2), "two run")
    for count in (1, 2):
        cluster.kubectl("scale", "rc", "demo", f"--replicas={count}", "-n", ns, "--timeout=180s")
        until(lambda count=count: running(cluster, ns, count), f"{count} run")  # type: ignore[misc]
    cluster.kubectl("expose", "rc", "demo", "-n", ns, "--name=first", "--port=1234", "--target-port=80")
    cluster.kubectl("expose", "service", "first", "-n", ns, "--name=second", "--port=2345", "--target-port=80")
    for name, port in (("first", 1234), ("second", 2345)):
        spec = cluster.json("get", "service", name, "-n", ns)["spec"]
        assert (spec["ports"][0]["port"], spec["ports"][0]["targetPort"]) == (port, 80)
        url = f"http://{spec['clusterIP']}:{port}/"
        until(lambda url=url: "Welcome" in cluster.fetch(url), "it answers")  # type: ignore[misc]
    names = [item["metadata"]["name"] for item in cluster.json("get", "pods", "-n", ns)["items"]]
    for name in names:
        cluster.kubectl("patch", "pod", name, "-n", ns, "-p", '{"metadata":{"annotations":{"x":"y"}}}')
    assert all(item["metadata"]["annotations"]["x"] == "y" for item in cluster.json("get", "pods", "-n", ns)["items"])
    told = cluster.kubectl("describe", "rc", "demo", "-n", ns)
    for line in (r"Name: +demo", rf"Namespace: +{ns}", r"Selector: +app=demo", r"Replicas: +2 current / 2 desired"):
        assert re.search(line, told), told
    assert "Pods Status:  2 Running / 0 Waiting / 0 Succeeded / 0 Failed" in told
    assert "SuccessfulCreate" in told
    told = cluster.kubectl("describe", "pod", names[0], "-n", ns)
    for line in (
        r"Controlled By: +ReplicationController/demo",
        r"Image: +nginx",
        r"State: +Running",
        r"Status: +Running",
    ):
        assert re.search(line, told), told
    assert re.search(r"Status: +Active", cluster.kubectl("describe", "namespace", ns))
    node = cluster.kubectl("describe", "node", cluster.name)
    for word in ("Conditions:", "Capacity:", "Allocatable:", "Kubelet Version:", "Allocated resources:", names[0]):
        assert word in node
    cluster.kubectl("delete", "rc", "demo", "-n", ns)
    until(lambda: not cluster.json("get", "pods", "-n", ns)["items"], "its pods are gone")


def test_diff_replace_run_and_dry_run(cluster: Cluster, ns: str) -> None:
    # A difference is told by exit code 1.
    cluster.kubectl("create", "deployment", "web", "-n", ns, "--image=nginx", "--replicas=0")
    changed = cluster.kubectl("get", "deployment", "web", "-n", ns, "-o", "yaml").replace(
        "image: nginx", "image: busybox"
    )
    done = cluster.try_kubectl("diff", "-n", ns, "-f", "-", text=changed)
    assert done.returncode == 1, done.stderr
    assert re.search(r"-\s+- image: nginx", done.stdout)
    assert re.search(r"\+\s+- image: busybox", done.stdout)
    cluster.kubectl("run", "one", "-n", ns, "--image=nginx", "--restart=Never", "--image-pull-policy=IfNotPresent")
    assert cluster.json("get", "pod", "one", "-n", ns)["spec"]["containers"][0]["image"] == "nginx"
    cluster.kubectl("wait", "pod/one", "-n", ns, "--for=condition=Ready", "--timeout=180s")
    image = json.dumps({"spec": {"containers": [{"name": "one", "image": "busybox"}]}})
    dry = cluster.kubectl("patch", "pod", "one", "-n", ns, "-p", image, "--dry-run=server", "-o", "json")
    assert json.loads(dry)["spec"]["containers"][0]["image"] == "busybox"
    assert cluster.json("get", "pod", "one", "-n", ns)["spec"]["containers"][0]["image"] == "nginx"
    text = cluster.kubectl("get", "pod", "one", "-n", ns, "-o", "json").replace(
        '"image": "nginx"', '"image": "busybox"'
    )
    cluster.kubectl("replace", "-n", ns, "-f", "-", text=text)
    assert cluster.json("get", "pod", "one", "-n", ns)["spec"]["containers"][0]["image"] == "busybox"
    before = cluster.json("get", "pod", "one", "-n", ns)["metadata"]["uid"]
    cluster.kubectl("replace", "--force", "-n", ns, "-f", "-", text=pod("one", "sleep 1000"))
    assert cluster.json("get", "pod", "one", "-n", ns)["metadata"]["uid"] != before


def test_logs_are_filtered(cluster: Cluster, ns: str) -> None:
    cluster.apply(pod("talker", "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.2; done"), ns)
    cluster.kubectl("wait", "pod/talker", "-n", ns, "--for=condition=Ready", "--timeout=180s")

    def logs(*options: str) -> str:
        return cluster.kubectl("logs", "talker", "-n", ns, *options)

    until(lambda: "line 8\n" in logs(), "it has talked for a while")
    assert logs().startswith("line 1\n")
    assert re.fullmatch(r"line \d+\n", logs("--tail=1"))
    assert len(logs("--limit-bytes=1")) == 1
    stamped = logs("--tail=1", "--timestamps").split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", stamped[0])
    recent, all_of_it = logs("--since=1s").splitlines(), logs("--since=24h").splitlines()
    assert len(recent) < len(all_of_it)
    assert all_of_it[0] == "line 1"


@pytest.mark.parametrize("form", ["port", "socket"])
def test_a_proxy_on_a_free_port_or_a_unix_socket(cluster: Cluster, tmp_path: Path, form: str) -> None:
    socket = tmp_path / "proxy.sock"
    how = ["--port=0"] if form == "port" else [f"--unix-socket={socket}"]
    command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "proxy", *how]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as proxy:
        try:
            assert proxy.stdout is not None
            told = proxy.stdout.readline().decode()
            if form == "port":
                port = told.strip().rpartition(":")[2]
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/", timeout=60) as answer:
                    versions = json.load(answer)
            else:
                got = subprocess.run(
                    ["curl", "-s", "--unix-socket", str(socket), "http://localhost/api/"],
                    capture_output=True,
                    check=True,
                    timeout=60,
                )
                versions = json.loads(got.stdout)
            assert versions["versions"] == ["v1"]
        finally:
            proxy.terminate()


def test_what_the_cluster_says_of_itself(cluster: Cluster) -> None:
    assert "v1" in cluster.kubectl("api-versions").splitlines()
    assert "Kubernetes control plane" in cluster.kubectl("cluster-info")
    version = json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"]
    assert (version["major"], version["minor"]) == ("1", "36")
    assert all(
        version[key] for key in ("gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "platform")
    )
