"""A part of a volume, mounted by itself (`subPath`), safe against containers that swap folders for links meanwhile.

The part is opened step by step without following links, and what was opened is bound through /proc/self/fd, so that
nothing can change between the check and the mount. https://kubernetes.io/blog/2018/04/04/fixing-subpath-volume-vulnerability/
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from knarr.kubelet.volumes import mounts
from knarr.kubelet.volumes.plugin import VolumeError

_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def check(path: str) -> None:
    """Raises `VolumeError` for a subPath that is no path below a volume."""
    if os.path.isabs(path):
        raise VolumeError(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise VolumeError(f"unable to provision SubPath `{path}`: must not contain '..'")


def prepare(volume: Path, path: str, target: Path) -> None:
    """Bind `path` of a volume to `target`; a part that does not exist becomes a folder. Raises `OSError`.

    A target that already shows the same file stays, one that shows another is bound anew.
    """
    handle = open_below(volume, path)
    try:
        found = os.fstat(handle)
        if mounts.kind_at(target):
            if os.path.samestat(found, os.stat(target)):
                return
            mounts.unmount(str(target))
        _make_target(target, folder=stat.S_ISDIR(found.st_mode))
        mounts.bind(f"/proc/self/fd/{handle}", str(target))
    finally:
        os.close(handle)


def read_file(volume: Path, path: str, longest: int) -> bytes | None:
    """A file of a volume, its first `longest` bytes; None when there is none. Raises `OSError`."""
    try:
        handle = open_below(volume, path, create=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise PermissionError(f"{path!r} is no regular file")
        with open(f"/proc/self/fd/{handle}", "rb") as stream:
            return stream.read(longest)
    finally:
        os.close(handle)


def open_below(volume: Path, path: str, *, create: bool = True) -> int:
    """A descriptor (O_PATH) of a part of a volume. Raises `OSError` for a part that lies outside.

    Links that stay inside the volume hold. Missing folders are made with the mode of the volume's root, if `create`.
    """
    root = os.path.realpath(volume)
    resolved = os.path.realpath(os.path.join(root, path))
    if resolved != root and not resolved.startswith(root.rstrip("/") + "/"):
        raise PermissionError(f"subpath {path!r} leads out of the volume")
    handle = os.open(root, os.O_PATH | os.O_CLOEXEC)
    mode = stat.S_IMODE(os.fstat(handle).st_mode)
    try:
        for step in [part for part in os.path.relpath(resolved, root).split("/") if part != "."]:
            following = _enter(handle, step, mode if create else None)
            os.close(handle)
            handle = following
    except BaseException:
        os.close(handle)
        raise
    return handle


def _enter(folder: int, name: str, mode: int | None) -> int:
    try:
        handle = os.open(name, _STEP, dir_fd=folder)
    except FileNotFoundError:
        if mode is None:
            raise
        os.mkdir(name, mode, dir_fd=folder)
        handle = os.open(name, _STEP, dir_fd=folder)
        if not stat.S_ISLNK(os.fstat(handle).st_mode):
            # mkdir heeds the umask, and fchmod takes no O_PATH descriptor.
            os.chmod(f"/proc/self/fd/{handle}", mode)
    if stat.S_ISLNK(os.fstat(handle).st_mode):
        os.close(handle)
        raise PermissionError(f"subpath: {name!r} has become a symbolic link")
    return handle


def _make_target(target: Path, *, folder: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    if target.is_dir() and not folder:
        target.rmdir()
    elif target.exists() and not target.is_dir() and folder:
        target.unlink()
    if folder:
        target.mkdir(exist_ok=True, mode=0o750)
    else:
        target.touch(mode=0o640)
