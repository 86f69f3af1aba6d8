"""When a child is started again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from knarr.cmd import clusters
from knarr.cmd.clusters import Cluster
from knarr.cmd.processes import Process
from knarr.cmd.supervisor import Child, _note, children


def test_starts_are_put_off_while_a_child_dies_young() -> None:
    child = Child("server", ["x"], Path("log"))
    waits = []
    now = 0.0
    for _ in range(9):
        child.began = now
        child.died(now)
        waits.append(round(child.due - now, 3))
        now = child.due
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_a_long_life_is_forgiven() -> None:
    child = Child("server", ["x"], Path("log"), began=0.0, pause=5.0)
    child.died(60.0)
    assert child.due == 60.1


def test_the_node_runs_in_its_namespace_and_the_api_alone_does_not() -> None:
    cluster = Cluster("a", 1, "/data", 6443)
    server, agent = children(cluster, [7])
    assert server.command[:3] == ["nsenter", "--net=/run/netns/knarr-a", "--"]
    assert "--listen-fd 7" in " ".join(server.command)
    assert agent.command[:3] == server.command[:3]
    (alone,) = children(Cluster("a", 1, "/data", 6443, api_only=True), [7])
    assert alone.command[0] != "nsenter"


def test_what_others_wrote_down_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "run_dir", lambda: tmp_path)
    ours = Cluster("a", 1, "/data", 6443)
    clusters.save(replace(ours, kubeconfig="/home/somebody/.kube/config"))
    _note(replace(ours, server=Process(7, 8)))
    noted = clusters.load("a")
    assert noted == replace(ours, kubeconfig="/home/somebody/.kube/config", server=Process(7, 8))
