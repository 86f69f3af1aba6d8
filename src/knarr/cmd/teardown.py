"""Takes a cluster off the machine: processes, mounts, control groups, loop devices, namespaces, data."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from knarr.cmd import clusters, members, nodens, processes
from knarr.cmd.clusters import Cluster
from knarr.cmd.members import AGENT, DATASTORE, SERVER, SUPERVISOR
from knarr.cmd.processes import Process

#: Seconds for the supervisor, which ends agent and server first.
_SUPERVISOR_PATIENCE = 40.0
_PATIENCE = 10.0
_MNT_DETACH = 2
_LOOP_CLR_FD = 0x4C01
_CGROUPS = Path("/sys/fs/cgroup")


class Mount(NamedTuple):
    """A mount point, its file system type, and what of that file system it shows."""

    point: str
    kind: str
    root: str


@contextlib.contextmanager
def taken_over(cluster: Cluster) -> Iterator[None]:
    """End all members; until the block ends nobody starts them again. Raises `TimeoutError`."""
    locks: list[int] = []
    try:
        for member in (SUPERVISOR, AGENT, SERVER, DATASTORE):
            locks.append(_take_from(cluster.name, member))
        yield
    finally:
        for lock in locks:
            os.close(lock)


def _take_from(name: str, member: str) -> int:
    deadline = time.monotonic() + _SUPERVISOR_PATIENCE
    while (lock := members.take(name, member)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the {member} of cluster {name!r} does not end")
        found = members.holder(name, member)
        if found is None:
            # Just starting, or just ending.
            time.sleep(0.01)
        else:
            processes.stop(found, _SUPERVISOR_PATIENCE if member == SUPERVISOR else _PATIENCE)
    return lock


def purge(cluster: Cluster) -> list[str]:
    """Remove everything but the data. Returns what resisted, in words; empty when all is gone."""
    left = [f"process {process.pid}" for process in _kill_everything(cluster)]
    left += [f"mount {point}" for point in unmount_below(cluster.data_dir)]
    left += [f"control group {path}" for path in remove_cgroups(cgroup_name(cluster))]
    _free_loops(cluster.data_dir)
    if not cluster.api_only:
        others = (other for other in clusters.load_all() if other.name != cluster.name)
        nodens.remove(cluster, last_uplink=not any(other.uplink for other in others))
        if cluster.namespace_path.exists():
            left.append(f"network namespace {cluster.namespace}")
    return left


def forget_context(cluster: Cluster) -> list[str]:
    """Take the cluster's context out of the kubeconfig it was added to. Returns what resisted, in words."""
    from knarr.component_base import kubeconfig

    try:
        if cluster.kubeconfig:
            kubeconfig.remove(Path(cluster.kubeconfig), cluster.context)
    except (OSError, ValueError) as error:
        return [f"kubectl context {cluster.context!r}: {str(error).splitlines()[0]}"]
    return []


def forget(name: str) -> None:
    """Take a cluster off the list. It must be taken over."""
    clusters.forget(name)
    members.forget(name)
    with contextlib.suppress(OSError):
        clusters.run_dir().rmdir()


def remove_data(cluster: Cluster) -> None:
    """Delete the data directory. Its mounts must be gone: a bind mount would lead out of it."""
    if any(True for _ in mounts_below(cluster.data_dir)):
        raise OSError(f"{cluster.data_dir} still has mounts in it")
    shutil.rmtree(cluster.data_dir, ignore_errors=True)


def cgroup_name(cluster: Cluster) -> str:
    """The control group below which all of a cluster's pods run."""
    return cluster.namespace


def mounts_below(directory: str) -> Iterable[Mount]:
    """The mounts on or below a directory, deepest and latest first."""
    top = os.path.realpath(directory)
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        point = _unescape(fields[4])
        if point == top or point.startswith(top + "/"):
            found.append(Mount(point, after.split()[0], _unescape(fields[3])))
    return reversed(found)


def unmount_below(directory: str) -> list[str]:
    """Unmount everything below a directory; returns what stays."""
    libc = ctypes.CDLL(None, use_errno=True)
    for mount in list(mounts_below(directory)):
        point = mount.point.encode()
        if libc.umount2(point, 0):
            libc.umount2(point, _MNT_DETACH)
    return [mount.point for mount in mounts_below(directory)]


def remove_cgroups(name: str, root: Path = _CGROUPS) -> list[str]:
    """Remove a control group in every hierarchy, deepest first; returns those that stay."""
    left = []
    for top in _hierarchies(root):
        if not (top / name).is_dir():
            continue
        for folder, _, _ in os.walk(top / name, topdown=False):
            if not _remove_group(Path(folder)):
                left.append(folder)
    return left


def _hierarchies(root: Path) -> list[Path]:
    """One directory a hierarchy: each controller's under version 1, the only one under version 2."""
    if (root / "cgroup.controllers").exists():
        return [root]
    return (
        [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.is_symlink()]
        if root.is_dir()
        else []
    )


def _remove_group(path: Path) -> bool:
    """A group stays busy for a moment after its last process has ended."""
    deadline = time.monotonic() + 2
    while True:
        try:
            path.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def _kill_everything(cluster: Cluster) -> list[Process]:
    """Kill what lives in the cluster's network namespaces and control groups, until nothing does."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        found = _inhabitants(cluster)
        if not found or time.monotonic() > deadline:
            return found
        processes.kill_all(found, 1.0)


def _inhabitants(cluster: Cluster) -> list[Process]:
    if cluster.api_only:
        return []
    inodes = {int(mount.root[5:-1]) for mount in mounts_below(cluster.data_dir) if mount.root.startswith("net:[")}
    with contextlib.suppress(OSError):
        inodes.add(cluster.namespace_path.stat().st_ino)
    inodes.discard(Path("/proc/self/ns/net").stat().st_ino)
    found = set(processes.in_namespaces(inodes))
    for top in _hierarchies(_CGROUPS):
        for group in (top / cgroup_name(cluster)).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                pids = group.read_text().split()
                found.update(process for pid in pids if (process := processes.identify(int(pid))))
    return sorted(found)


def _free_loops(directory: str) -> None:
    """Detach loop devices whose file lies below a directory."""
    import fcntl

    top = os.path.realpath(directory) + "/"
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if backing.read_text().startswith(top):
                handle = os.open(f"/dev/{backing.parts[3]}", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    fcntl.ioctl(handle, _LOOP_CLR_FD)
                finally:
                    os.close(handle)


def _unescape(text: str) -> str:
    """Mount points have blanks as octal escapes."""
    for escaped, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escaped, plain)
    return text
