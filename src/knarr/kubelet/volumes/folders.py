"""The folders that volumes lie in: on disk or in memory, made once and kept over restarts."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from knarr.api.semantics.pod_requests import amount, effective_limits
from knarr.apimachinery.types import Object
from knarr.kubelet.volumes import mounts, ownership

_ANYBODY = 0o777


def memory_size(pod: Object, source: Object, allocatable: Mapping[str, object]) -> int | None:
    """The size in bytes: the least of the limit asked for, what the pod may use, and what the node has."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    pod_level = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
    limited = pod_level or all(((c.get("resources") or {}).get("limits") or {}).get("memory") for c in containers)
    sizes = [
        amount("memory", allocatable.get("memory")),
        amount("memory", source.get("sizeLimit")),
        effective_limits(pod).get("memory", 0) if limited else 0,
    ]
    return min((size for size in sizes if size > 0), default=None)


def on_disk(directory: Path, pod: Object, *, read_only: bool = False) -> None:
    """A folder that anybody may write in. It gets its name when it is complete, so that a restart can tell."""
    if directory.is_dir():
        return
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=directory.parent))
    try:
        os.chmod(made, _ANYBODY)
        ownership.apply(made, pod, read_only=read_only)
        made.rename(directory)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def in_memory(directory: Path, pod: Object, size: int | None, *, read_only: bool = False) -> None:
    """A file system in memory."""
    # The mount table is long on a full node: it is read for folders only that some file system is mounted on.
    if os.path.ismount(directory) and mounts.kind_at(directory) == "tmpfs":
        return
    directory.mkdir(exist_ok=True)
    os.chmod(directory, _ANYBODY)
    mounts.mount_tmpfs(directory, size)
    # Mounted, the root is sticky and open to all.
    os.chmod(directory, stat.S_ISVTX | _ANYBODY)
    ownership.apply(directory, pod, read_only=read_only)
