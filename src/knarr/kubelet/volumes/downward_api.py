"""downwardAPI: a pod's own fields as files.

https://kubernetes.io/docs/concepts/storage/volumes/#downwardapi
"""

from __future__ import annotations

from knarr.kubelet.volumes.content import Content, ContentPlugin, default_mode
from knarr.kubelet.volumes.payload import from_downward
from knarr.kubelet.volumes.plugin import Host, Request


async def _collect(request: Request, host: Host) -> Content:
    source = request.volume["downwardAPI"]
    return Content(from_downward(request.pod, source, default_mode(source), host.allocatable()))


PLUGIN = ContentPlugin("downwardAPI", "kubernetes.io/downward-api", _collect)
