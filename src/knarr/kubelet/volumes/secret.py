"""secret: the entries of a Secret as files in memory.

https://kubernetes.io/docs/concepts/storage/volumes/#secret
"""

from __future__ import annotations

from knarr.api.registry import SECRETS
from knarr.kubelet.volumes.content import Content, ContentPlugin, default_mode, read
from knarr.kubelet.volumes.payload import from_secret
from knarr.kubelet.volumes.plugin import Host, Request


async def _collect(request: Request, host: Host) -> Content:
    source = request.volume["secret"]
    namespace = request.pod["metadata"]["namespace"]
    optional = bool(source.get("optional"))
    obj = await read(host, SECRETS, namespace, source["secretName"], optional=optional)
    return Content(from_secret(obj, source, default_mode(source)))


PLUGIN = ContentPlugin("secret", "kubernetes.io/secret", _collect)
