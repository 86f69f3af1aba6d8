"""hostPath: a file or folder of the node.

https://kubernetes.io/docs/concepts/storage/volumes/#hostpath
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from knarr.kubelet.volumes.plugin import Host, HostVolume, Prepared, Request, VolumeError

#: Type → (test of the mode, what the path is not when it fails).
_CHECKS: Mapping[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


class HostPath:
    """Every type, with its check."""

    source = "hostPath"
    name = "kubernetes.io/host-path"
    refreshes = False

    async def set_up(self, request: Request, host: Host) -> Prepared:
        """Check the path, make it where the type asks for that."""
        source = request.volume["hostPath"]
        path = source["path"]
        try:
            check(path, source.get("type") or "")
        except OSError as error:
            raise VolumeError(f"hostPath {path}: {error.strerror}") from error
        return Prepared(HostVolume(path, bool(request.volume.get("readOnly"))))


def check(path: str, kind: str) -> None:
    """Hold the path against a type. Raises `VolumeError` and `OSError`."""
    if not kind:
        return
    if kind not in _CHECKS:
        raise VolumeError(f"{path} is an invalid volume type")
    if kind == "DirectoryOrCreate" and not os.path.exists(path):
        os.makedirs(path, 0o755)
    elif kind == "FileOrCreate" and not os.path.exists(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    fits, what = _CHECKS[kind]
    found = Path(path)
    if not found.exists() or not fits(found.stat().st_mode):
        raise VolumeError(f"hostPath type check failed: {path} is not {what}")
