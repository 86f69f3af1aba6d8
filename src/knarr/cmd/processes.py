"""Processes by id and start time, so that a reused id is never mistaken for the process we started."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_STATE, _STARTED = 0, 19


class Process(NamedTuple):
    """A process: its id and when it started, in clock ticks since boot."""

    pid: int
    started: int


def identify(pid: int) -> Process | None:
    """The process with this id now; `None` if there is none or it is a zombie."""
    fields = _stat(pid)
    if fields is None or fields[_STATE] in ("Z", "X"):
        return None
    return Process(pid, int(fields[_STARTED]))


def alive(process: Process | None) -> bool:
    """Whether exactly this process still runs."""
    return process is not None and identify(process.pid) == process


def send(process: Process, number: signal.Signals) -> None:
    """Signal exactly this process; one that has ended is no error."""
    with _opened(process) as handle:
        if handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)


def stop(process: Process, patience: float) -> None:
    """Ask a process to end, and after `patience` seconds make it."""
    with _opened(process) as handle:
        if handle is None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if not _ended(handle, patience):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                _ended(handle, patience)


def watch(process: Process) -> int | None:
    """A pidfd of exactly this process, to be closed by the caller; `None` if it has ended."""
    try:
        # Opened before the check: from then on it cannot be another.
        handle = os.pidfd_open(process.pid)
    except OSError:
        return None
    if alive(process):
        return handle
    os.close(handle)
    return None


def wait(process: Process) -> None:
    """Sleep until a process, child or not, has ended."""
    with _opened(process) as handle:
        if handle is not None:
            select.select([handle], [], [])


def has_ended(handle: int) -> bool:
    """Whether the process of a pidfd has ended."""
    return _ended(handle, 0)


def kill_all(processes: Iterable[Process], patience: float) -> list[Process]:
    """Kill processes and wait at most `patience` seconds; returns those that still run."""
    doomed = list(processes)
    for process in doomed:
        send(process, signal.SIGKILL)
    deadline = time.monotonic() + patience
    for process in doomed:
        with _opened(process) as handle:
            if handle is not None:
                _ended(handle, max(deadline - time.monotonic(), 0))
    return [process for process in doomed if alive(process)]


def in_namespaces(inodes: Iterable[int]) -> list[Process]:
    """Every process (but this one) whose network namespace has one of these inode numbers."""
    wanted = {f"net:[{inode}]" for inode in inodes}
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{entry}/ns/net") in wanted and (process := identify(int(entry))):
                    found.append(process)
    return found


@contextlib.contextmanager
def _opened(process: Process) -> Iterator[int | None]:
    """A pidfd of the process, `None` if it is gone."""
    handle = watch(process)
    try:
        yield handle
    finally:
        if handle is not None:
            os.close(handle)


def _ended(handle: int, patience: float) -> bool:
    readable, _, _ = select.select([handle], [], [], patience)
    return bool(readable)


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold anything, parentheses too.
    return text[text.rindex(")") + 2 :].split()
