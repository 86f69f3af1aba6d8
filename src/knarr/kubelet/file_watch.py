"""Tells when something happens in a folder, through inotify.

https://man7.org/linux/man-pages/man7/inotify.7.html
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from types import TracebackType

_MODIFY, _CLOSE_WRITE, _MOVED_TO, _CREATE = 0x2, 0x8, 0x80, 0x100
_CLOEXEC, _NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK
_BUFFER = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)


class FolderWatch:
    """Watches the files of one folder from its making on. Raises `OSError`. What happened is not told, only that."""

    def __init__(self, folder: str) -> None:
        self._handle = _checked(_libc.inotify_init1(_CLOEXEC | _NONBLOCK), "inotify_init1")
        try:
            mask = _MODIFY | _CLOSE_WRITE | _MOVED_TO | _CREATE
            _checked(_libc.inotify_add_watch(self._handle, os.fsencode(folder), mask), f"inotify_add_watch {folder}")
        except OSError:
            os.close(self._handle)
            raise
        self._happened = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._handle, self._drain)

    def __enter__(self) -> FolderWatch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.remove_reader(self._handle)
        os.close(self._handle)

    async def wait(self, longest: float) -> None:
        """Return when something has happened since the last call, at the latest after `longest` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest):
                await self._happened.wait()
        self._happened.clear()

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._handle, _BUFFER)
        self._happened.set()


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
