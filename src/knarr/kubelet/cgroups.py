"""The control groups of this node's pods, on cgroup v1 (controllers mounted one by one) and v2.

Groups are named by their path below the top, without a slash at its beginning (`knarr-x/kubepods/burstable/podUID`).
The runtime makes the containers' groups below them, but never removes a pod's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.kubelet.container_resources import PERIOD, GroupLimits

_log = logs.get("kubelet.cgroups")
_TOP = Path("/sys/fs/cgroup")
#: The v1 controllers in which a pod's group is made; the runtime makes its containers' in all.
_CONTROLLERS = ("cpu", "memory", "pids")
#: How often and how long (seconds) a busy group is tried.
_PAUSE, _PATIENCE = 0.01, 10.0
_PREFIX = "pod"


class Cgroups:
    """Makes and removes groups. `root` is the group below which everything happens."""

    def __init__(self, root: str, clock: Clock, top: Path = _TOP) -> None:
        self.root = root
        self._clock = clock
        self._top = top
        self.v2 = (top / "cgroup.controllers").exists()

    def set_up(self) -> None:
        """Make the groups of the classes. Raises `OSError`."""
        pods = _join(self.root, "kubepods")
        self.make(pods, GroupLimits(1024))
        self.make(f"{pods}/besteffort", GroupLimits(2))
        self.make(f"{pods}/burstable", GroupLimits(1024))

    def make(self, group: str, limits: GroupLimits) -> None:
        """Make a group with its limits; one that is there gets these limits. Raises `OSError`."""
        if self.v2:
            self._delegate(group)
            folder = self._top / group
            folder.mkdir(parents=True, exist_ok=True)
            quota = f"{limits.quota} {PERIOD}" if limits.quota else f"max {PERIOD}"
            _write(folder / "cpu.weight", str(_weight(limits.shares)))
            _write(folder / "cpu.max", quota)
            _write(folder / "memory.max", str(limits.memory or "max"))
            return
        for controller in _CONTROLLERS:
            if (self._top / controller).is_dir():
                (self._top / controller / group).mkdir(parents=True, exist_ok=True)
        _write(self._top / "cpu" / group / "cpu.shares", str(limits.shares))
        _write(self._top / "cpu" / group / "cpu.cfs_quota_us", str(limits.quota or -1))
        # A group that has children may be lowered only to what they use: limits are set before there are any.
        _write(self._top / "memory" / group / "memory.limit_in_bytes", str(limits.memory or -1))

    async def remove(self, group: str) -> None:
        """Remove a group and all below it, deepest first, in every hierarchy.

        Raises `OSError` when processes stay in it.
        """
        for hierarchy in self._hierarchies():
            top = hierarchy / group
            for folder, _, _ in os.walk(top, topdown=False):
                await self._remove(Path(folder))

    def pods(self) -> dict[str, list[str]]:
        """The groups of pods that exist, by the pod's uid."""
        found: dict[str, list[str]] = {}
        top = _join(self.root, "kubepods")
        for folder in ("", "/burstable", "/besteffort"):
            for hierarchy in self._hierarchies():
                for path in (hierarchy / (top + folder)).glob(f"{_PREFIX}*"):
                    group = f"{top}{folder}/{path.name}"
                    groups = found.setdefault(path.name.removeprefix(_PREFIX), [])
                    if path.is_dir() and group not in groups:
                        groups.append(group)
        return found

    def folder(self, controller: str, group: str) -> Path:
        """Where a group stands in a controller's hierarchy (the only one on v2)."""
        return self._top / group if self.v2 else self._top / controller / group

    def _hierarchies(self) -> Iterator[Path]:
        if self.v2:
            yield self._top
        elif self._top.is_dir():
            # `cpu` may be a link to `cpu,cpuacct`.
            yield from (each for each in self._top.iterdir() if each.is_dir() and not each.is_symlink())

    def _delegate(self, group: str) -> None:
        """Let the groups above pass their controllers down."""
        folder = self._top
        for part in group.split("/"):
            available = (folder / "cgroup.controllers").read_text().split()
            wanted = [f"+{name}" for name in available if name in ("cpu", "cpuset", "memory", "pids", "io", "hugetlb")]
            _write(folder / "cgroup.subtree_control", " ".join(wanted))
            folder = folder / part
            folder.mkdir(exist_ok=True)

    async def _remove(self, folder: Path) -> None:
        """A group stays busy for a moment after its last process has ended."""
        deadline = self._clock.monotonic() + _PATIENCE
        while True:
            try:
                folder.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:
                if self._clock.monotonic() > deadline:
                    raise
            await asyncio.to_thread(_kill, folder)
            await self._clock.sleep(_PAUSE)


def _kill(folder: Path) -> None:
    """End what is left in a group: its pod has ended."""
    with contextlib.suppress(OSError):
        for pid in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 9)


def _write(path: Path, text: str) -> None:
    """A controller that the machine lacks cannot limit; what it has must take its limit."""
    if not path.parent.is_dir() or not path.exists():
        return
    if path.read_text().strip() != text:
        path.write_text(text)


def _weight(shares: int) -> int:
    """CPU shares (2 to 262144) as a weight (1 to 10000). https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/2254-cgroup-v2."""
    return 1 + (max(shares, 2) - 2) * 9999 // 262142


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
