"""Volumes that hold files made from the API: what the four plugins of that sort share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.kubelet.volumes import atomic_writer, folders, ownership
from knarr.kubelet.volumes.payload import DEFAULT_MODE, Payload
from knarr.kubelet.volumes.plugin import Host, HostVolume, Prepared, Request


@dataclass(frozen=True, slots=True)
class Content:
    """The files, and when they are to be made anew."""

    payload: Payload = field(default_factory=dict)
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class ContentPlugin:
    """A plugin from a function that collects the content; `memory` keeps the files off the disk."""

    source: str
    name: str
    collect: Callable[[Request, Host], Awaitable[Content]]
    memory: bool = True
    refreshes: bool = True

    async def set_up(self, request: Request, host: Host) -> Prepared:
        """Make the folder and bring its files up to date."""
        content = await self.collect(request, host)
        directory, pod = request.directory, request.pod
        if self.memory:
            size = folders.memory_size(pod, {}, host.allocatable())
            folders.in_memory(directory, pod, size, read_only=True)
        else:
            folders.on_disk(directory, pod, read_only=True)

        def own(folder: Path) -> None:
            ownership.apply(folder, pod, read_only=True)

        atomic_writer.write(directory, content.payload, host.clock.now(), own)
        return Prepared(HostVolume(str(directory), read_only=True), content.due)


async def read(host: Host, resource: Resource, namespace: str, name: str, *, optional: bool) -> Object | None:
    """An object; None for an optional one that does not exist. Raises `StatusError`."""
    try:
        return await host.objects.get(resource, namespace, name)
    except StatusError as error:
        if optional and error.code == 404:
            return None
        raise


def default_mode(source: Object) -> int:
    """The mode of files that have none of their own."""
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)
