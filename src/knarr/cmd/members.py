"""Who runs a cluster: a locked file for each of its processes.

A member holds the lock of its file for as long as it lives, however it dies, and the file says which process that is.
So there is one of each at most, whoever starts them, and whoever looks knows which runs. `knarr up` and `knarr down`
hold the supervisor's while they work: nobody else brings the cluster up meanwhile.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from knarr.cmd import clusters, processes
from knarr.cmd.processes import Process

SUPERVISOR, SERVER, AGENT, DATASTORE = "supervisor", "server", "agent", "datastore"
ALL = (SUPERVISOR, SERVER, AGENT, DATASTORE)


def take(name: str, member: str) -> int | None:
    """Become a member of cluster `name`: the descriptor to keep open, not inherited. `None` if there is one already."""
    path = _path(name, member)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    if not _is_at(handle, path):
        # `forget` was quicker: the lock of a file that nobody finds is worth nothing.
        os.close(handle)
        return take(name, member)
    sign(handle, os.getpid())
    return handle


def sign(handle: int, pid: int) -> None:
    """Say which process the holder of this lock is: the one that takes it over writes itself down."""
    process = processes.identify(pid)
    os.ftruncate(handle, 0)
    if process is not None:
        os.pwrite(handle, f"{process.pid} {process.started}\n".encode(), 0)


def holder(name: str, member: str) -> Process | None:
    """The process that is this member now."""
    try:
        pid, started = _path(name, member).read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    process = Process(int(pid), int(started))
    return process if processes.alive(process) else None


def forget(name: str) -> None:
    """Remove the files of a cluster that is gone."""
    for member in ALL:
        with contextlib.suppress(FileNotFoundError):
            _path(name, member).unlink()


def _is_at(handle: int, path: Path) -> bool:
    try:
        return path.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


def _path(name: str, member: str) -> Path:
    return clusters.run_dir() / f"{name}.{member}"
