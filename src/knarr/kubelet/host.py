"""What all pods of a node share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.component_base.clock import Clock
from knarr.cri.runtime import Runtime
from knarr.kubelet.cgroups import Cgroups
from knarr.kubelet.images import Note as ImageNote
from knarr.kubelet.metrics import PodMetrics
from knarr.kubelet.node_config import NodeConfig
from knarr.kubelet.podworker.model import Note
from knarr.kubelet.volumes.plugin import HostVolume
from knarr.wire.messages import Message

#: Sandboxes that are made at the same time: more only make each other slower.
_SANDBOXES = 8


class Volumes(Protocol):
    """`volumes.manager.VolumeManager` as pods use it."""

    async def prepare(self, pod: Object) -> Mapping[str, HostVolume]:
        """Mount what containers use. Raises `MountFailure`."""
        ...

    async def refresh(self, pod: Object) -> None:
        """Bring contents up to date. Raises `MountFailure`."""
        ...

    async def teardown(self, uid: str) -> None:
        """Unmount and remove. Raises `OSError`."""
        ...

    async def over_limit(self, uid: str) -> str:
        """Why a pod is to be evicted for what its emptyDirs take; empty when they keep their limits."""
        ...

    def prepare_subpath(self, pod: Object, container: str, index: int, volume: HostVolume, path: str) -> str:
        """Mount a part of a volume. Raises `VolumeError`."""
        ...


class Images(Protocol):
    """`images.ImagePuller` as pods use it."""

    async def ensure(
        self, pod: Object, container: Object, tell: Callable[[ImageNote], None], sandbox: Message | None = None
    ) -> str:
        """The image's reference. Raises `ImageFault`."""
        ...


class Objects(Protocol):
    """`referenced.Referenced` as pods use it."""

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object. Raises `StatusError`."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    """The node's means. `record(pod, note)` records an event, `services` gives all Services of the cluster."""

    node: NodeConfig
    runtime: Runtime
    images: Images
    volumes: Volumes
    objects: Objects
    cgroups: Cgroups
    clock: Clock
    record: Callable[[Object, Note], None]
    #: The runtime handler that a RuntimeClass names. Raises `StatusError`.
    handler: Callable[[str], Awaitable[str]]
    services: Callable[[], Iterable[Object]] = tuple
    allocatable: Callable[[], Mapping[str, object]] = dict
    metrics: PodMetrics = field(default_factory=PodMetrics)
    sandbox_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SANDBOXES))
    #: The runtime's image messages by reference: they never change.
    image_messages: dict[str, Message] = field(default_factory=dict)
