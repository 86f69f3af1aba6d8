"""How much of the disk a pod's emptyDirs take, against their limits.

https://kubernetes.io/docs/concepts/storage/ephemeral-storage/#resource-emphemeralstorage-consumption
"""

from __future__ import annotations

import os
from pathlib import Path

from knarr.api.semantics.pod_requests import amount
from knarr.apimachinery.types import Object
from knarr.kubelet.volumes.empty_dir import EmptyDir

_BLOCK = 512  # the unit of st_blocks, whatever the file system's is


def used(folder: Path) -> int:
    """Bytes that a folder takes on its own file system; a file with several names counts once."""
    try:
        device = os.lstat(folder).st_dev
    except FileNotFoundError:
        return 0
    linked: set[int] = set()
    total = 0
    for _, _, files, handle in os.fwalk(folder):
        here = os.fstat(handle)
        if here.st_dev == device:
            total += here.st_blocks * _BLOCK + sum(_size(name, handle, linked) for name in files)
    return total


def _size(name: str, folder: int, linked: set[int]) -> int:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return 0  # removed meanwhile, in a folder that lives
    if found.st_nlink > 1:
        if found.st_ino in linked:
            return 0
        linked.add(found.st_ino)
    return found.st_blocks * _BLOCK


def over_limit(pod: Object, volumes: Path) -> str:
    """The message of an eviction when an emptyDir on disk has outgrown its `sizeLimit`; empty when none has.

    `volumes` is the pod's folder of volumes.
    """
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        source = volume.get("emptyDir") or {}
        limit = source.get("sizeLimit")
        if limit is None or source.get("medium") or amount("memory", limit) <= 0:
            continue
        folder = volumes / EmptyDir.name.replace("/", "~") / volume["name"]
        if used(folder) > amount("memory", limit):
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    return ""
