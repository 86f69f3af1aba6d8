"""Gives a volume's files to the pod's fsGroup.

https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from knarr.apimachinery.types import Object

_READ_WRITE, _READ_ONLY, _FOLDER = 0o660, 0o440, 0o110


def fs_group(pod: Object) -> int | None:
    """The group that owns the pod's volumes, if any."""
    group = ((pod.get("spec") or {}).get("securityContext") or {}).get("fsGroup")
    return None if group is None else int(group)


def apply(path: Path, pod: Object, *, read_only: bool = False) -> None:
    """Make a folder and all in it readable (and writable, unless `read_only`) for the pod's fsGroup."""
    group = fs_group(pod)
    if group is None:
        return
    policy = ((pod.get("spec") or {}).get("securityContext") or {}).get("fsGroupChangePolicy")
    if policy == "OnRootMismatch" and _fits(path, group, read_only=read_only):
        return
    for _, folders, files, handle in os.fwalk(path):
        for name in (*folders, *files):
            _give(name, group, read_only=read_only, folder=handle)
    # The root last: it tells that everything below has been done.
    _give(str(path), group, read_only=read_only)


def mode_for(mode: int, *, read_only: bool) -> int:
    """The mode a file or folder has after it was given to the group."""
    mask = _READ_ONLY if read_only else _READ_WRITE
    if stat.S_ISDIR(mode):
        mask |= stat.S_ISGID | _FOLDER
    return stat.S_IMODE(mode) | mask


def _give(name: str, group: int, *, read_only: bool, folder: int | None = None) -> None:
    # By descriptor: another pod that shares the volume may swap the file for a link meanwhile.
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISLNK(mode):
            os.chown(name, -1, group, dir_fd=folder, follow_symlinks=False)
            return
        os.chown(f"/proc/self/fd/{handle}", -1, group)
        os.chmod(f"/proc/self/fd/{handle}", mode_for(mode, read_only=read_only))
    finally:
        os.close(handle)


def _fits(path: Path, group: int, *, read_only: bool) -> bool:
    found = path.stat()
    return found.st_gid == group and stat.S_IMODE(found.st_mode) == mode_for(found.st_mode, read_only=read_only)
