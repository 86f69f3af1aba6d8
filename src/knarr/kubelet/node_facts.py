"""What the machine is: read from the system."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_PID_RESERVE = 1000


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Sizes in bytes."""

    cpus: int
    memory: int
    swap: int
    disk: int
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel: str
    os_image: str
    architecture: str


def read_facts(disk: Path) -> NodeFacts:
    """The machine's facts; `disk` lies on the file system that pods use."""
    memory = _meminfo(Path("/proc/meminfo").read_text())
    found = os.statvfs(disk)
    machine_id = _first_line("/etc/machine-id")
    return NodeFacts(
        cpus=len(os.sched_getaffinity(0)),
        memory=memory.get("MemTotal", 0),
        swap=memory.get("SwapTotal", 0),
        disk=found.f_blocks * found.f_frsize,
        machine_id=machine_id,
        system_uuid=_first_line("/sys/class/dmi/id/product_uuid") or machine_id,
        boot_id=_first_line("/proc/sys/kernel/random/boot_id"),
        kernel=platform.release(),
        os_image=_pretty_name(),
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
    )


@dataclass(frozen=True, slots=True)
class Pressure:
    """What runs out on the node."""

    memory: bool = False
    disk: bool = False
    pids: bool = False


def read_pressure(disk: Path) -> Pressure:
    """Kubernetes' hard thresholds: memory below 100 MiB, disk below 10 % or inodes below 5 %."""
    memory = _meminfo(Path("/proc/meminfo").read_text())
    found = os.statvfs(disk)
    full = found.f_bavail * 10 < found.f_blocks or (found.f_files > 0 and found.f_favail * 20 < found.f_files)
    return Pressure(memory.get("MemAvailable", 1 << 40) < 100 << 20, full, _pids_run_out())


def _pids_run_out() -> bool:
    used = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    return used + _PID_RESERVE > int(Path("/proc/sys/kernel/pid_max").read_text())


def _meminfo(text: str) -> dict[str, int]:
    """`/proc/meminfo` in bytes."""
    pairs = (line.split(":", 1) for line in text.splitlines() if line.endswith(" kB"))
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""  # not every machine has it


def _pretty_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"
