"""What is written down of clusters."""

from __future__ import annotations

from pathlib import Path

import pytest

from knarr.cmd import clusters
from knarr.cmd.clusters import Cluster


@pytest.fixture(autouse=True)
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(clusters, "run_dir", lambda: tmp_path / "run")
    return tmp_path / "run"


def test_a_cluster_is_read_as_it_was_written() -> None:
    cluster = Cluster("a", 3, "/data", 6443, stopped=True)
    assert clusters.load("a") is None
    assert clusters.load_all() == []
    clusters.save(cluster)
    assert clusters.load("a") == cluster
    assert clusters.load_all() == [cluster]
    clusters.forget("a")
    clusters.forget("a")
    assert clusters.load_all() == []


def test_the_record_of_another_version_is_read(run_dir: Path) -> None:
    clusters.save(Cluster("a", 3, "/data", 6443))
    path = run_dir / "a.json"
    path.write_text(path.read_text().replace("{", '{"invented": 1, ', 1))
    assert clusters.load("a") == Cluster("a", 3, "/data", 6443)


def test_links_do_not_meet() -> None:
    one, two = Cluster("a", 1, "/a", 1), Cluster("b", 2, "/b", 2)
    assert (one.host_address, one.node_address) == ("172.30.0.5", "172.30.0.6")
    assert not one.link.overlaps(two.link)
    assert clusters.free_slot([one, two], ["10.0.0.0/8", "172.30.0.12/30", "192.0.2.1"]) == 4


def test_a_network_routed_elsewhere_is_refused() -> None:
    with pytest.raises(RuntimeError):
        clusters.free_slot([], ["172.16.0.0/12"])


@pytest.mark.parametrize(
    ("name", "valid"),
    [("a", True), ("a-1", True), ("-a", False), ("A", False), ("a/b", False), ("", False), ("x" * 33, False)],
)
def test_names(name: str, *, valid: bool) -> None:
    assert clusters.valid_name(name) is valid


def test_the_default_cluster_has_the_plain_context() -> None:
    assert Cluster("default", 1, "/a", 1).context == "knarr"
    assert Cluster("dev", 1, "/a", 1).context == "knarr-dev"
    assert Cluster("dev", 1, "/a", 1, service_cidr="10.99.0.0/16").dns_address == "10.99.0.10"
