"""What this process uses (`process_…`), read from /proc when somebody asks. Linux only; elsewhere nothing is told."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

from knarr.component_base.metrics import About, Family, Looked, Sample

_SELF = Path("/proc/self")


def families() -> list[Family]:
    """CPU, memory, files and start time of this process."""
    return [
        _looked("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", _cpu, "counter"),
        _looked("process_resident_memory_bytes", "Resident memory size in bytes.", lambda: _memory(1)),
        _looked("process_virtual_memory_bytes", "Virtual memory size in bytes.", lambda: _memory(0)),
        _looked("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", _started),
        _looked("process_open_fds", "Number of open file descriptors.", lambda: len(os.listdir(_SELF / "fd"))),
        _looked("process_max_fds", "Maximum number of open file descriptors.", _most_files),
    ]


def _looked(name: str, text: str, read: Callable[[], float], kind: str = "gauge") -> Family:
    def look() -> list[Sample]:
        return [((), read())] if _SELF.exists() else []

    return Looked(About(name, text), look, kind)


def _cpu() -> float:
    times = os.times()
    return times.user + times.system


def _memory(column: int) -> float:
    """Pages of `/proc/self/statm`: 0 all, 1 resident."""
    return int((_SELF / "statm").read_text().split()[column]) * resource.getpagesize()


def _started() -> float:
    """Boot time and the ticks since then, the 22nd field, counted behind the name in parentheses."""
    ticks = int((_SELF / "stat").read_text().rpartition(")")[2].split()[19])
    stat = Path("/proc/stat").read_text()
    boot = next(int(line.split()[1]) for line in stat.splitlines() if line.startswith("btime "))
    return boot + ticks / os.sysconf("SC_CLK_TCK")


def _most_files() -> float:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
