"""local: a folder of the node that a PersistentVolume stands for.

https://kubernetes.io/docs/concepts/storage/volumes/#local
"""

from __future__ import annotations

import asyncio
import os

from knarr.kubelet.volumes import mounts, ownership
from knarr.kubelet.volumes.plugin import Host, HostVolume, Prepared, Request, VolumeError


class Local:
    """Folders; a raw device needs a file system of its own."""

    source = "local"
    name = "kubernetes.io/local-volume"
    refreshes = False

    async def set_up(self, request: Request, host: Host) -> Prepared:
        """Bind the folder and give it to the pod's fsGroup."""
        path = request.volume["local"]["path"]
        read_only = bool(request.volume.get("readOnly"))
        if not os.path.isdir(path):
            raise VolumeError(f'local volume path "{path}" is not a directory of this node')
        request.directory.mkdir(exist_ok=True, mode=0o750)
        if not mounts.kind_at(request.directory):
            mounts.bind(os.path.realpath(path), str(request.directory))
            if not read_only:
                await asyncio.to_thread(ownership.apply, request.directory, request.pod)
        return Prepared(HostVolume(str(request.directory), read_only))
