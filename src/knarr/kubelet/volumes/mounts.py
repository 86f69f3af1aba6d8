"""Mounting, and knowing what is mounted."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

_BIND = 4096
_DETACH, _NO_FOLLOW = 2, 8
_OCTAL = re.compile(r"\\([0-7]{3})")

_libc = ctypes.CDLL(None, use_errno=True)


def mount_tmpfs(path: Path, size: int | None) -> None:
    """Mount a file system in memory, of at most `size` bytes, that is never swapped out where the kernel can."""
    options = [f"size={size}"] if size else []
    try:
        _mount("tmpfs", str(path), "tmpfs", 0, ",".join([*options, "noswap"]))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _mount("tmpfs", str(path), "tmpfs", 0, ",".join(options))


def bind(source: str, target: str) -> None:
    """Show a file or folder at a second place."""
    _mount(source, target, "", _BIND, "")


def mount_points(below: Path, text: str | None = None) -> list[str]:
    """What is mounted at or below a folder, in the order of mounting. `text` is a mountinfo (default: this one)."""
    return [point for point, _ in _mounts(below, text)]


def kind_at(path: Path) -> str:
    """The type of the file system mounted exactly here; empty for none."""
    return next((kind for point, kind in reversed(list(_mounts(path, None))) if point == str(path)), "")


def unmount_below(folder: Path) -> None:
    """Unmount everything at or below a folder, the latest first.

    What is still held open goes once it is let go of.
    """
    for point in reversed(mount_points(folder)):
        unmount(point)


def unmount(point: str) -> None:
    """Unmount one mount."""
    if _libc.umount2(point.encode(), _NO_FOLLOW) == 0:
        return
    code = ctypes.get_errno()
    if code == errno.EBUSY and _libc.umount2(point.encode(), _NO_FOLLOW | _DETACH) == 0:
        return
    if code != errno.EINVAL:  # no longer mounted
        raise OSError(code, f"unmount: {os.strerror(code)}", point)


def remove_tree(folder: Path) -> None:
    """Remove a folder after all that is mounted in it; never reaches into a mount."""
    unmount_below(folder)
    if left := mount_points(folder):
        raise OSError(errno.EBUSY, f"still mounted: {', '.join(left)}", str(folder))
    if folder.is_dir():
        shutil.rmtree(folder)


def _mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None
    )
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount: {os.strerror(code)}", target)


def _mounts(below: Path, text: str | None) -> Iterator[tuple[str, str]]:
    """(mount point, type of file system). https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html."""
    folder = os.path.realpath(below)
    if text is None:
        # One read gives one consistent picture.
        text = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    for line in text.splitlines():
        fields = line.split(" ")
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
        if point == folder or point.startswith(folder + "/"):
            yield point, fields[fields.index("-") + 1]
