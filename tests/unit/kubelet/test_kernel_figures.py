"""What the kernel counts, read from files as both kinds of control groups have them."""

from __future__ import annotations

import os
from pathlib import Path

from knarr.component_base.clock import RealClock
from knarr.kubelet import kernel_figures
from knarr.kubelet.cgroups import Cgroups
from knarr.kubelet.kernel_figures import Group, Interface

NET = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier
    lo: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0
  eth0: 100 2 3 4 0 0 0 0 500 6 7 8 0 0 0 0
"""


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_interfaces_without_the_loopback() -> None:
    assert kernel_figures.parse_interfaces(NET) == [Interface("eth0", 100, 2, 3, 4, 500, 6, 7, 8)]


def test_a_group_of_version_2(tmp_path: Path) -> None:
    write(tmp_path, cgroup__controllers="cpu memory")
    write(
        tmp_path / "k" / "pod1",
        cpu__stat="user_usec 2000000\nsystem_usec 500000\nnr_periods 7\nnr_throttled 3\nthrottled_usec 10",
        cpu__max="50000 100000",
        cpu__weight="39",
        memory__max="max",
        memory__stat="anon 5\nfile 4096",
        memory__events="low 0\noom_kill 2",
        pids__current="4",
    )
    found = kernel_figures.read_group(Cgroups("k", RealClock(), tmp_path), "k/pod1")
    assert found == Group(2.0, 0.5, 7, 3, 1e-05, 4096, None, 50_000, 100_000, 998, 4, 2)


def test_a_group_of_version_1(tmp_path: Path) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    write(tmp_path / "cpuacct" / "g", cpuacct__stat=f"user {2 * ticks}\nsystem {ticks}")
    write(
        tmp_path / "cpu" / "g",
        cpu__stat="nr_periods 7\nnr_throttled 3\nthrottled_time 2000000000",
        cpu__cfs_quota_us="-1",
        cpu__cfs_period_us="100000",
        cpu__shares="512",
    )
    write(
        tmp_path / "memory" / "g",
        memory__stat="cache 1\ntotal_cache 2",
        memory__limit_in_bytes="1048576",
        memory__oom_control="oom_kill_disable 0\noom_kill 1",
    )
    write(tmp_path / "pids" / "g", pids__current="3")
    found = kernel_figures.read_group(Cgroups("", RealClock(), tmp_path), "g")
    assert found == Group(2.0, 1.0, 7, 3, 2.0, 2, 1_048_576, None, 100_000, 512, 3, 1)


def test_a_group_that_is_gone_counts_nothing(tmp_path: Path) -> None:
    assert kernel_figures.read_group(Cgroups("", RealClock(), tmp_path), "gone") == Group()


def test_the_interfaces_of_a_pod_are_those_its_processes_see(tmp_path: Path) -> None:
    cgroups = Cgroups("", RealClock(), tmp_path)
    write(tmp_path / "pids" / "pod1", cgroup__procs="")
    write(tmp_path / "pids" / "pod1" / "sandbox", cgroup__procs="41\n42\n")
    write(tmp_path / "proc" / "42" / "net", dev=NET)
    assert [each.name for each in kernel_figures.group_interfaces(cgroups, "pod1", tmp_path / "proc")] == ["eth0"]
    assert kernel_figures.group_interfaces(cgroups, "pod2", tmp_path / "proc") == []
