"""A cluster's beginning and end: side by side, without root, nothing left behind, nothing asked for when idle."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.cluster import KNARR, Cluster, run, until
from tests.e2e.manifests import pod


def census(name: str) -> dict[str, object]:
    """What a cluster of this name has on the machine, and what any cluster could leave in the host's own network."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        "processes": _processes(name),
        "namespaces": [path.name for path in Path("/run/netns").glob(f"*{name}*")],
        "mounts": [line for line in mounts if name in line],
        "links": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "tables": run(["nft", "list", "tables"]).stdout,
        "groups": [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if name in folder],
        "loops": [str(path) for path in Path("/sys/block").glob("loop*/loop/backing_file") if name in path.read_text()],
        "resolvers": [path.name for path in Path("/etc/netns").glob(f"*{name}*")],
    }


def _processes(name: str) -> list[str]:
    """Processes that carry the name in their command line or control group: containers and their shims as well."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (folder / "cmdline").read_bytes() + (folder / "cgroup").read_bytes()
            if name.encode() in said and int(folder.name) != os.getpid():
                found.append((folder / "comm").read_text().strip())
    return sorted(found)


def test_down_leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory, images: dict[str, Path]) -> None:
    name = f"life{os.getpid()}"
    one = Cluster(name, tmp_path_factory.mktemp(name))
    before = census(name)
    try:
        one.up()
        one.import_image(images["busybox"])
        one.apply(pod("box", "sleep 1000", "volumes: [{name: m, emptyDir: {medium: Memory}}]"), "default")
        one.kubectl("wait", "pod/box", "--for=condition=Ready", "--timeout=180s")
        during = census(name)
        for kind in ("processes", "namespaces", "mounts", "groups", "resolvers"):
            assert during[kind], f"the census would not see {kind}"
    finally:
        ended = one.down()
    assert ended.returncode == 0, ended.stderr
    until(lambda: census(name) == before, "what was there before is there")
    assert not one.data_dir.exists()
    assert name not in one.kubeconfig.read_text()


@pytest.mark.rootless
def test_api_only_needs_no_root(tmp_path: Path) -> None:
    one = Cluster(f"api{os.getpid()}", tmp_path)
    try:
        one.up("--api-only")
        one.kubectl("create", "deployment", "web", "--image=nginx", "--replicas=2")

        def pods() -> list[Any]:
            return list(one.json("get", "pods")["items"])

        until(lambda: len(pods()) == 2, "controllers made the pods")
        conditions = until(lambda: pods()[0]["status"].get("conditions"), "the scheduler has said something")
        assert conditions[0]["reason"] == "Unschedulable"
        assert "no nodes available to schedule pods" in conditions[0]["message"]
    finally:
        ended = one.down()
    assert ended.returncode == 0, ended.stderr


@pytest.mark.rootless
def test_a_bare_server_in_the_foreground_stops_on_sigterm(tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    command = [*KNARR, "server", "--role", "apiserver", "--foreground", "--port", "0"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--data-dir", str(tmp_path / "data"), "--kubeconfig", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        kubectl = ["kubectl", "--kubeconfig", str(config)]
        until(lambda: config.exists() and run([*kubectl, "get", "--raw", "/readyz"]).stdout == "ok", "it is ready")
        assert run([*kubectl, "create", "deployment", "web", "--image=nginx"]).returncode == 0
        time.sleep(0.5)
        assert json.loads(run([*kubectl, "get", "replicasets", "-o", "json"]).stdout)["items"] == []
        server.send_signal(signal.SIGTERM)
        assert server.wait(90) == 0
    finally:
        server.kill()
        server.wait()


def requests(cluster: Cluster) -> dict[str, float]:
    """How many requests the server has answered, by verb, resource and subresource."""
    out: dict[str, float] = {}
    for line in cluster.kubectl("get", "--raw", "/metrics").splitlines():
        if line.startswith("apiserver_request_total{"):
            labels, value = line.removeprefix("apiserver_request_total{").rsplit("} ", 1)
            pairs = dict(part.split("=", 1) for part in labels.split(",") if "=" in part)
            key = " ".join(pairs.get(name, "").strip('"') for name in ("verb", "resource", "subresource"))
            out[key] = out.get(key, 0) + float(value)
    return out


def test_an_idle_cluster_asks_for_nothing_but_leases(tmp_path: Path, images: dict[str, Path]) -> None:
    one = Cluster(f"idle{os.getpid()}", tmp_path)
    try:
        one.up()
        one.import_image(images["busybox"])
        one.apply(pod("box", "sleep 1000"), "default")
        one.kubectl("wait", "pod/box", "--for=condition=Ready", "--timeout=180s")
        before: dict[str, float] = {}

        def quiet() -> bool:
            """Events and status writes of the start come late; then it is still."""
            now = requests(one)
            still = {key: now[key] - before.get(key, 0) for key in now if _counts(key) and now[key] != before.get(key)}
            before.clear()
            before.update(now)
            time.sleep(3)
            return not still

        until(quiet, "the cluster came to rest")
        began = requests(one)
        time.sleep(20)
        ended = requests(one)
    finally:
        one.down()
    made = {key: ended[key] - began.get(key, 0) for key in ended if ended[key] != began.get(key, 0)}
    assert {key: count for key, count in made.items() if _counts(key)} == {}
    leases = sum(count for key, count in made.items() if "leases" in key)
    assert 0 < leases < 120


def _counts(key: str) -> bool:
    """All but leases, the node's status and our own reading of the metrics."""
    return "leases" not in key and "nodes status" not in key and key.strip() not in ("GET", "get")
