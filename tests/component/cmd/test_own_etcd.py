"""`knarr up --datastore etcd`: an etcd that comes back when it is killed, and ends with the cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.etcd import needs_etcd

from knarr.cmd import clusters, members, processes
from knarr.cmd.api import Api, Unreachable

pytestmark = needs_etcd


def knarr(*words: str) -> str:
    command = [sys.executable, "-m", "knarr.cmd.main", *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_cluster_on_an_etcd_of_its_own(tmp_path: Path) -> None:
    name = f"etcd-{os.getpid()}"
    data = tmp_path / "data"
    flags = ("--api-only", "--datastore", "etcd", "--data-dir", str(data), "--kubeconfig", str(tmp_path / "config"))
    try:
        knarr("up", "--name", name, "--port", "0", *flags)
        cluster = clusters.load(name)
        assert cluster is not None
        api = Api(cluster.admin_kubeconfig)
        before = api.read("/api/v1/namespaces/default")["metadata"]["uid"]
        first = members.holder(name, members.DATASTORE)
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        until(lambda: members.holder(name, members.DATASTORE) not in (None, first), "etcd was not started again")

        def ready() -> bool:
            try:
                return api.get("/readyz")[0] == 200
            except Unreachable:
                return False

        until(ready, "the server did not find its etcd again")
        assert api.read("/api/v1/namespaces/default")["metadata"]["uid"] == before
        assert "datastore" in knarr("status", "--name", name)
        again = members.holder(name, members.DATASTORE)
    finally:
        knarr("down", "--name", name)
    assert again is not None
    assert not processes.alive(again)
    assert not data.exists()
