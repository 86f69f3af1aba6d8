"""Control groups in a folder that looks like a machine's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from knarr.component_base.clock import RealClock
from knarr.kubelet.cgroups import Cgroups
from knarr.kubelet.container_resources import GroupLimits

GROUP = "knarr-x/kubepods/burstable/podu1"


@pytest.fixture(params=["v1", "v2"])
def cgroups(request: pytest.FixtureRequest, tmp_path: Path) -> Cgroups:
    if request.param == "v2":
        (tmp_path / "cgroup.controllers").write_text("cpu memory pids")
    else:
        for controller in ("cpu", "memory", "pids", "devices"):
            (tmp_path / controller).mkdir()
    return Cgroups("knarr-x", RealClock(), tmp_path)


def test_groups_are_found_by_pod_and_removed_with_all_below(cgroups: Cgroups, tmp_path: Path) -> None:
    if cgroups.v2:
        (tmp_path / GROUP / "c1").mkdir(parents=True)
    else:
        cgroups.make(GROUP, GroupLimits(100))
        (tmp_path / "devices" / GROUP / "c1").mkdir(parents=True)
    assert cgroups.pods() == {"u1": [GROUP]}
    asyncio.run(cgroups.remove(GROUP))
    assert cgroups.pods() == {}


def test_limits_are_written_in_the_versions_terms(tmp_path: Path) -> None:
    for controller, files in (("cpu", ("cpu.shares", "cpu.cfs_quota_us")), ("memory", ("memory.limit_in_bytes",))):
        folder = tmp_path / controller / GROUP
        folder.mkdir(parents=True)
        for name in files:
            (folder / name).write_text("0")
    Cgroups("knarr-x", RealClock(), tmp_path).make(GROUP, GroupLimits(256, 50_000))
    assert (tmp_path / "cpu" / GROUP / "cpu.shares").read_text() == "256"
    assert (tmp_path / "cpu" / GROUP / "cpu.cfs_quota_us").read_text() == "50000"
    assert (tmp_path / "memory" / GROUP / "memory.limit_in_bytes").read_text() == "-1"
