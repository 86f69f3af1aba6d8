"""projected: several sources in one folder, service-account tokens among them.

https://kubernetes.io/docs/concepts/storage/projected-volumes/
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TypeAlias

from knarr.api.registry import CONFIGMAPS, SECRETS
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.kubelet.tokens import DEFAULT_LIFE, TokenFault
from knarr.kubelet.volumes import ownership, payload
from knarr.kubelet.volumes.content import Content, ContentPlugin, default_mode, read
from knarr.kubelet.volumes.payload import File, Payload, PayloadError
from knarr.kubelet.volumes.plugin import Host, Request, VolumeError

#: A token's mode when a group or user owns it; else it is the volume's.
_TOKEN_MODE = 0o600
_Source: TypeAlias = Callable[[Request, Host, Object, int], Awaitable[Content]]


async def _collect(request: Request, host: Host) -> Content:
    source = request.volume["projected"]
    mode = default_mode(source)
    files: Payload = {}
    due: list[datetime] = []
    problems = []
    for part in source.get("sources") or ():
        try:
            content = await _part(request, host, part, mode)
        except (StatusError, PayloadError, TokenFault, VolumeError) as error:
            problems.append(str(error))
            continue
        files |= content.payload
        due += [content.due] if content.due else []
    if problems:
        raise VolumeError(payload.aggregate(problems))
    return Content(files, min(due, default=None))


async def _part(request: Request, host: Host, part: Object, mode: int) -> Content:
    for key, collect in _SOURCES.items():
        if part.get(key) is not None:
            return await collect(request, host, part[key], mode)
    raise VolumeError(f"projected volume source {', '.join(sorted(part))} is not supported by this node")


async def _secret(request: Request, host: Host, source: Object, mode: int) -> Content:
    namespace = request.pod["metadata"]["namespace"]
    obj = await read(host, SECRETS, namespace, source["name"], optional=bool(source.get("optional")))
    return Content(payload.from_secret(obj, source, mode))


async def _config_map(request: Request, host: Host, source: Object, mode: int) -> Content:
    namespace = request.pod["metadata"]["namespace"]
    obj = await read(host, CONFIGMAPS, namespace, source["name"], optional=bool(source.get("optional")))
    return Content(payload.from_config_map(obj, source, mode))


async def _downward(request: Request, host: Host, source: Object, mode: int) -> Content:
    return Content(payload.from_downward(request.pod, source, mode, host.allocatable()))


async def _token(request: Request, host: Host, source: Object, mode: int) -> Content:
    seconds = int(source.get("expirationSeconds") or DEFAULT_LIFE)
    token = await host.tokens.get(request.pod, source.get("audience") or "", seconds)
    user = payload.run_as_user(request.pod)
    if user is not None or ownership.fs_group(request.pod) is not None:
        mode = _TOKEN_MODE
    return Content({source["path"]: File(token.value.encode(), mode, user)}, token.renew)


_SOURCES: Mapping[str, _Source] = {
    "secret": _secret,
    "configMap": _config_map,
    "downwardAPI": _downward,
    "serviceAccountToken": _token,
}
PLUGIN = ContentPlugin("projected", "kubernetes.io/projected", _collect)
