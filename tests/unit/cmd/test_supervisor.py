"""What a supervisor runs, and when it starts it again."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from knarr.cmd import making, nodens
from knarr.cmd.clusters import Cluster
from knarr.cmd.restarts import Restarts
from knarr.cmd.supervisor import Child, children


def test_starts_are_put_off_while_a_child_dies_young() -> None:
    child = Child("server", ["x"], Path("log"))
    waits = []
    now = 0.0
    for _ in range(9):
        child.runs(1, 2, now)
        child.died(now)
        waits.append(round(child.due - now, 3))
        now = child.due
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0, 2.0]
    assert child.pid == 0


def test_a_long_life_is_forgiven() -> None:
    restarts = Restarts()
    for _ in range(9):
        restarts.pause(0)
    assert restarts.pause(60) == 0.1
    assert restarts.pause(0) == 0.2


def test_the_node_runs_in_its_namespace_and_the_api_alone_does_not() -> None:
    cluster = Cluster("a", 1, "/data", 6443)
    server, agent = children(cluster, [7, 9])
    assert server.command[:3] == ["nsenter", "--net=/run/netns/knarr-a", "--"]
    assert "--listen-fd 7 --listen-fd 9" in " ".join(server.command)
    assert agent.command[:3] == server.command[:3]
    (alone,) = children(Cluster("a", 1, "/data", 6443, api_only=True), [7])
    assert alone.command[0] != "nsenter"


def test_every_child_is_given_the_sockets_to_keep() -> None:
    for child in children(Cluster("a", 1, "/data", 6443), [7, 9]):
        at = child.command.index("knarr.cmd.member")
        assert child.command[at + 1 : at + 4] == ["a", child.name, "7,9"]


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        ({}, True),
        ({"port": 1, "slot": 9, "kubeconfig": "/k"}, True),
        ({"cluster_cidr": "10.9.0.0/16"}, False),
        ({"service_cidr": "10.9.0.0/16"}, False),
        ({"data_dir": "/other"}, False),
        ({"uplink": True}, False),
    ],
)
def test_pods_go_on_in_the_same_network_only(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, object], goes_on: bool
) -> None:
    monkeypatch.setattr(nodens, "exists", lambda _: True)
    old = Cluster("a", 1, "/data", 6443)
    new = replace(old, **change)  # type: ignore[arg-type]
    assert making._goes_on(old, new) is goes_on
    monkeypatch.setattr(nodens, "exists", lambda _: False)
    assert not making._goes_on(old, new)


def test_the_file_of_a_namespace_is_no_namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cluster, "namespace_path", property(lambda _: tmp_path / "ns"))
    cluster = Cluster("a", os.getpid(), "/data", 0)
    assert not nodens.exists(cluster)
    (tmp_path / "ns").touch()
    assert not nodens.exists(cluster)
