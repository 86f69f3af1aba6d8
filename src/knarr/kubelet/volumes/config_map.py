"""configMap: the entries of a ConfigMap as files.

https://kubernetes.io/docs/concepts/storage/volumes/#configmap
"""

from __future__ import annotations

from knarr.api.registry import CONFIGMAPS
from knarr.kubelet.volumes.content import Content, ContentPlugin, default_mode, read
from knarr.kubelet.volumes.payload import from_config_map
from knarr.kubelet.volumes.plugin import Host, Request


async def _collect(request: Request, host: Host) -> Content:
    source = request.volume["configMap"]
    namespace = request.pod["metadata"]["namespace"]
    optional = bool(source.get("optional"))
    obj = await read(host, CONFIGMAPS, namespace, source["name"], optional=optional)
    return Content(from_config_map(obj, source, default_mode(source)))


PLUGIN = ContentPlugin("configMap", "kubernetes.io/configmap", _collect, memory=False)
