"""Reads containers' logs, and says where they lie.

`<root>/<namespace>_<name>_<uid>/<container>/<restart>.log`, written by the runtime.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from knarr.apimachinery.types import Object
from knarr.kubelet.file_watch import FolderWatch
from knarr.kubelet.log_lines import LogOptions, Selection

_BLOCK = 1 << 16
#: Seconds after which a follower asks whether the container has ended, if the file has not told before.
_ASK = 1.0


def pod_directory(root: Path, pod: Object) -> Path:
    """The folder of a pod's logs."""
    meta = pod["metadata"]
    return root / f"{meta['namespace']}_{meta['name']}_{meta['uid']}"


def container_log(root: Path, pod: Object, container: str, attempt: int) -> Path:
    """The log of a container's `attempt`-th start, counted from 0."""
    return pod_directory(root, pod) / container / f"{attempt}.log"


def remove_pod(root: Path, pod: Object) -> None:
    """Remove all logs of a pod."""
    shutil.rmtree(pod_directory(root, pod), ignore_errors=True)


def remove_orphans(root: Path, uids: frozenset[str]) -> list[Path]:
    """Remove the logs of pods that are none of these; gives the folders removed."""
    if not root.is_dir():
        return []
    orphans = [path for path in root.iterdir() if path.is_dir() and path.name.rpartition("_")[2] not in uids]
    for path in orphans:
        shutil.rmtree(path, ignore_errors=True)
    return orphans


def remove_container(log: Path) -> None:
    """Remove the log of a container that is gone, and what was rotated out of it."""
    for path in [log, *log.parent.glob(f"{log.name}.*")]:
        path.unlink(missing_ok=True)


async def read(path: Path, options: LogOptions, ended: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The contents of a log in pieces, as `kubectl logs` shows them.

    With `options.follow` it goes on, through rotations, until `ended` says that nothing more will be written and all
    is read. Raises `FileNotFoundError` when there is no log.
    """
    selection = Selection(options)
    if selection.full:
        return
    with contextlib.ExitStack() as stack:
        # The watch comes first: what is written after the last read must wake us.
        watch = stack.enter_context(FolderWatch(str(path.parent))) if options.follow else None
        file = stack.enter_context(path.open("rb"))
        file.seek(tail_start(file, options.tail))
        async for data in _pieces(_Source(path, file, stack), selection, watch, ended):
            yield data
            if selection.full:
                return


class _Source:
    """The open file, and the start of a line whose end is not written yet."""

    def __init__(self, path: Path, file: BinaryIO, stack: contextlib.ExitStack) -> None:
        self._path, self._file, self._stack = path, file, stack
        self._begun = b""

    def lines(self) -> list[bytes] | None:
        """The next complete lines; None at the end of the file."""
        block = self._file.read(_BLOCK)
        if not block:
            return None
        *lines, self._begun = (self._begun + block).split(b"\n")
        return lines

    def rest(self) -> list[bytes]:
        """What stands after the last newline."""
        rest, self._begun = self._begun, b""
        return [rest] if rest else []

    def rotated(self) -> bool:
        """Whether another file has taken the name and is written to: then nothing more comes into this one."""
        try:
            named = os.stat(self._path)
            return named.st_size > 0 and not os.path.samestat(os.fstat(self._file.fileno()), named)
        except FileNotFoundError:
            return False  # moved away, and the new one is not made yet

    def reopen(self) -> None:
        """Go on in the new file."""
        self._file.close()
        self._file = self._stack.enter_context(self._path.open("rb"))


async def _pieces(
    source: _Source, selection: Selection, watch: FolderWatch | None, ended: Callable[[], bool]
) -> AsyncIterator[bytes]:
    while True:
        # Asked before reading: what is read then is all there is.
        last = watch is None or ended()
        rotated = source.rotated()
        while (lines := source.lines()) is not None:
            if data := selection.take(lines):
                yield data
            await asyncio.sleep(0)
        if rotated:
            source.reopen()
            continue
        if watch is None or last:
            if data := selection.take(source.rest()):
                yield data
            return
        await watch.wait(_ASK)


def tail_start(file: BinaryIO, lines: int | None) -> int:
    """Where the last `lines` lines of a file begin; 0 for all."""
    if lines is None:
        return 0
    right = file.seek(0, os.SEEK_END)
    missing = lines + 1
    while right > 0:
        left = max(right - _BLOCK, 0)
        file.seek(left)
        block = file.read(right - left)
        count = block.count(b"\n")
        if count >= missing:
            at = len(block)
            for _ in range(missing):
                at = block.rindex(b"\n", 0, at)
            return left + at + 1
        missing -= count
        right = left
    return 0
