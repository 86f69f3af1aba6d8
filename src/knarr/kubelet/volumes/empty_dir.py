"""emptyDir: a folder that lives as long as its pod, on disk or in memory.

https://kubernetes.io/docs/concepts/storage/volumes/#emptydir
"""

from __future__ import annotations

from knarr.kubelet.volumes import folders
from knarr.kubelet.volumes.plugin import Host, HostVolume, Prepared, Request, VolumeError


class EmptyDir:
    """`medium` empty or `Memory`."""

    source = "emptyDir"
    name = "kubernetes.io/empty-dir"
    refreshes = False

    async def set_up(self, request: Request, host: Host) -> Prepared:
        """Make the folder, or leave the one that is there as it is."""
        medium = request.volume["emptyDir"].get("medium", "")
        if medium == "":
            folders.on_disk(request.directory, request.pod)
        elif medium == "Memory":
            size = folders.memory_size(request.pod, request.volume["emptyDir"], host.allocatable())
            folders.in_memory(request.directory, request.pod, size)
        else:
            raise VolumeError(f'emptyDir medium "{medium}" is not supported by this node')
        return Prepared(HostVolume(str(request.directory)))
