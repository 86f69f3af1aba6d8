"""kill -9 in the middle of everything: no acknowledged write is lost, no container restarts, the cluster converges."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import ssl
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.manifests import DEPLOYMENT

from knarr.component_base import kubeconfig

#: How often: in every run, and in `scripts/test --long`.
QUICK, KILLS = 6, 20
PROCESSES = ("supervisor", "server", "agent", "containerd")


class Writer:
    """Creates one ConfigMap after another and remembers which were acknowledged."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        access = kubeconfig.load(cluster.kubeconfig)
        self._url = urlsplit(access.server)
        self._context = ssl.create_default_context(cadata=access.authority.decode())
        with tempfile.NamedTemporaryFile() as file:
            file.write(access.certificate + b"\n" + access.key)
            file.flush()
            self._context.load_cert_chain(file.name)
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._number = 0
        self.acknowledged: list[str] = []

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPSConnection(
                self._url.hostname or "", self._url.port or 443, timeout=60, context=self._context
            )
            with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
                self._write(connection)
            time.sleep(0.05)

    def _write(self, connection: http.client.HTTPSConnection) -> None:
        while not self._stop.is_set():
            self._number += 1
            name = f"w-{self._number}"
            body = json.dumps({"metadata": {"name": name}, "data": {"n": str(self._number)}})
            connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status == 201:
                self.acknowledged.append(name)
            time.sleep(0.01)


def pid_of(cluster: Cluster, process: str) -> int | None:
    """The process now: members as `knarr status` knows them, containerd by its configuration file."""
    if process != "containerd":
        found = cluster.state()["processes"][process]
        return int(found["pid"]) if found["running"] else None
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().split(b"\0")
            if command[0].endswith(b"containerd") and any(str(cluster.data_dir).encode() in part for part in command):
                return int(folder.name)
    return None


def containers(cluster: Cluster, namespace: str) -> dict[str, tuple[str, str, int]]:
    """Of each running container of the steady pods: id, start time, restarts."""
    out = {}
    for one in cluster.json("get", "pods", "-n", namespace, "-l", "app=steady")["items"]:
        for status in one["status"]["containerStatuses"]:
            started = status["state"].get("running", {}).get("startedAt", "")
            out[one["metadata"]["name"]] = (status["containerID"], started, status["restartCount"])
    return out


def begin_rollout(cluster: Cluster, namespace: str, number: int) -> None:
    change = ("set", "env", "deployment/web", "-n", namespace, f"ROUND={number}")
    until(lambda: cluster.try_kubectl(*change).returncode == 0, "the next rollout begins")


def kill(cluster: Cluster, *processes: str) -> None:
    """Kill processes and wait until others have taken their place."""
    if set(processes) >= {"supervisor", "server", "agent"}:
        processes = processes[:-1]
    pids = {one: until(lambda one=one: pid_of(cluster, one), f"{one} runs") for one in processes}  # type: ignore[misc]
    for pid in pids.values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    for one, pid in pids.items():
        until(lambda one=one, pid=pid: pid_of(cluster, one) not in (None, pid), f"{one} runs again")  # type: ignore[misc]


@pytest.mark.parametrize(
    "kills", [pytest.param(QUICK, id="quick"), pytest.param(KILLS, id="long", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("victims", [*((one,) for one in PROCESSES), PROCESSES], ids=[*PROCESSES, "several"])
def test_kill_9_in_the_middle_of_a_rollout(cluster: Cluster, ns: str, victims: tuple[str, ...], kills: int) -> None:
    """One process, or several of them within the same millisecond: any but all that bring the others back."""
    rng = random.Random("".join(victims))
    cluster.apply(DEPLOYMENT, ns)
    cluster.apply(DEPLOYMENT.replace("web", "steady"), ns)
    for name in ("web", "steady"):
        cluster.kubectl("rollout", "status", f"deployment/{name}", "-n", ns, "--timeout=180s")
    before = containers(cluster, ns)
    with Writer(cluster, ns) as writer:
        for number in range(kills):
            begin_rollout(cluster, ns, number)
            time.sleep(rng.uniform(0, 0.5))
            kill(cluster, *rng.sample(victims, rng.randint(2, 3) if len(victims) > 1 else 1))
        until(lambda: cluster.try_kubectl("get", "--raw", "/readyz").returncode == 0, "the server is ready")
    cluster.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=180s", timeout=130)
    found = {one["metadata"]["name"] for one in cluster.json("get", "configmaps", "-n", ns)["items"]}
    assert len(writer.acknowledged) > kills
    assert set(writer.acknowledged) - found == set()
    assert containers(cluster, ns) == before
    template = cluster.json("get", "deployment", "web", "-n", ns)["spec"]["template"]["spec"]
    assert template["containers"][0]["env"][0]["value"] == str(kills - 1)

    def settled() -> bool:
        pods = cluster.json("get", "pods", "-n", ns, "-l", "app=web")["items"]
        return len(pods) == 2 and all(one["status"]["phase"] == "Running" for one in pods)

    until(settled, "just the wanted pods are left")
