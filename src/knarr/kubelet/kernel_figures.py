"""What the kernel counts of control groups, network interfaces and file systems, on cgroup v1 and v2.

The parsers are pure; the readers give what a file that is missing would have told as absent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from knarr.kubelet.cgroups import Cgroups

_UNLIMITED = 1 << 62
_PROC = Path("/proc")


class Interface(NamedTuple):
    """What went through a network interface since it was made."""

    name: str
    received_bytes: int
    received_packets: int
    received_errors: int
    received_dropped: int
    sent_bytes: int
    sent_packets: int
    sent_errors: int
    sent_dropped: int


class FileSystem(NamedTuple):
    """A file system, in bytes."""

    capacity: int
    available: int
    used: int
    inodes: int
    inodes_free: int


@dataclass(frozen=True, slots=True)
class Group:
    """A control group: CPU times in seconds, memory in bytes; limits are None where there are none."""

    user: float = 0.0
    system: float = 0.0
    periods: int = 0
    throttled_periods: int = 0
    throttled: float = 0.0
    cache: int = 0
    memory_limit: int | None = None
    quota: int | None = None
    period: int = 100_000
    shares: int | None = None
    processes: int = 0
    oom_kills: int = 0


def parse_interfaces(text: str) -> list[Interface]:
    """`/proc/net/dev`, without the loopback."""
    found = []
    for line in text.splitlines()[2:]:
        name, _, counts = line.partition(":")
        columns = [int(each) for each in counts.split()]
        if name.strip() != "lo" and len(columns) >= 16:
            found.append(Interface(name.strip(), *columns[:4], *columns[8:12]))
    return found


def parse_pairs(text: str) -> dict[str, int]:
    """Lines of a name and a number."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].lstrip("-").isdigit()}


def read_group(cgroups: Cgroups, group: str) -> Group:
    """A group by its path below the top."""
    return _read_v2(cgroups.folder("", group)) if cgroups.v2 else _read_v1(cgroups, group)


def _read_v2(folder: Path) -> Group:
    stat, memory = _pairs(folder / "cpu.stat"), _pairs(folder / "memory.stat")
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    limit = _text(folder / "memory.max")
    return Group(
        user=stat.get("user_usec", 0) / 1e6,
        system=stat.get("system_usec", 0) / 1e6,
        periods=stat.get("nr_periods", 0),
        throttled_periods=stat.get("nr_throttled", 0),
        throttled=stat.get("throttled_usec", 0) / 1e6,
        cache=memory.get("file", 0),
        memory_limit=int(limit) if limit.isdigit() else None,
        quota=int(quota) if quota.isdigit() else None,
        period=int(period) if period.isdigit() else 100_000,
        shares=_shares(_number(folder / "cpu.weight")),
        processes=_number(folder / "pids.current") or 0,
        oom_kills=_pairs(folder / "memory.events").get("oom_kill", 0),
    )


def _read_v1(cgroups: Cgroups, group: str) -> Group:
    cpu, accounting, memory = (cgroups.folder(name, group) for name in ("cpu", "cpuacct", "memory"))
    times, stat, usage = _pairs(accounting / "cpuacct.stat"), _pairs(cpu / "cpu.stat"), _pairs(memory / "memory.stat")
    ticks = os.sysconf("SC_CLK_TCK")
    limit, quota = _number(memory / "memory.limit_in_bytes"), _number(cpu / "cpu.cfs_quota_us")
    return Group(
        user=times.get("user", 0) / ticks,
        system=times.get("system", 0) / ticks,
        periods=stat.get("nr_periods", 0),
        throttled_periods=stat.get("nr_throttled", 0),
        throttled=stat.get("throttled_time", 0) / 1e9,
        cache=usage.get("total_cache", usage.get("cache", 0)),
        memory_limit=limit if limit is not None and limit < _UNLIMITED else None,
        quota=quota if quota is not None and quota > 0 else None,
        period=_number(cpu / "cpu.cfs_period_us") or 100_000,
        shares=_number(cpu / "cpu.shares"),
        processes=_number(cgroups.folder("pids", group) / "pids.current") or 0,
        oom_kills=_pairs(memory / "memory.oom_control").get("oom_kill", 0),
    )


def _shares(weight: int | None) -> int | None:
    """A weight as CPU shares: the inverse of what the kubelet sets."""
    return None if weight is None else 2 + (weight - 1) * 262142 // 9999


def group_interfaces(cgroups: Cgroups, group: str, proc: Path = _PROC) -> list[Interface]:
    """The interfaces that the processes of a pod's group see; none when it has no process."""
    for pid in _processes(cgroups.folder("pids", group)):
        text = _text(proc / pid / "net" / "dev")
        if text:
            return parse_interfaces(text)
    return []


def node_interfaces(proc: Path = _PROC) -> list[Interface]:
    """The interfaces of the namespace this process is in."""
    return parse_interfaces(_text(proc / "net" / "dev"))


def read_file_system(path: Path) -> FileSystem:
    """The file system a path lies on. Raises `OSError`."""
    found = os.statvfs(path)
    size = found.f_frsize
    used = (found.f_blocks - found.f_bfree) * size
    return FileSystem(found.f_blocks * size, found.f_bavail * size, used, found.f_files, found.f_ffree)


def process_limit(proc: Path = _PROC) -> tuple[int, int]:
    """How many processes the machine may have, and how many it has."""
    most = min(
        _number(proc / "sys" / "kernel" / "pid_max") or 0,
        _number(proc / "sys" / "kernel" / "threads-max") or _UNLIMITED,
    )
    running = _text(proc / "loadavg").split()
    return most, int(running[3].partition("/")[2]) if len(running) > 3 else 0


def boot_time(proc: Path = _PROC) -> int:
    """When the machine started, in seconds since 1970."""
    return _pairs(proc / "stat").get("btime", 0)


def _processes(folder: Path) -> Iterator[str]:
    """Processes of a group and those below it."""
    for here, _, _ in os.walk(folder):
        yield from _text(Path(here) / "cgroup.procs").split()


def _pairs(path: Path) -> Mapping[str, int]:
    return parse_pairs(_text(path))


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.lstrip("-").isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""  # this kernel does not count it, or the group has just gone
