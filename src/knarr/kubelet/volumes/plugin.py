"""What a volume plugin is: it makes one kind of volume of a pod appear on the host.

Everything a plugin makes or mounts lies in the folder it is given; taking a volume away needs no plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.component_base.clock import Clock
from knarr.kubelet.tokens import Token


class VolumeError(Exception):
    """Why a volume cannot be mounted; the manager puts the volume's name before the text."""


@dataclass(frozen=True, slots=True)
class HostVolume:
    """A volume ready for use: its path on the host, and whether containers may only read it."""

    path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A volume and, for contents that age, when they are to be made anew."""

    volume: HostVolume
    due: datetime | None = None


class Objects(Protocol):
    """Where ConfigMaps and Secrets come from (`referenced.Referenced`)."""

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object. Raises `StatusError`."""
        ...


class Tokens(Protocol):
    """Where service-account tokens come from (`tokens.TokenManager`)."""

    async def get(self, pod: Object, audience: str = "", seconds: int = ...) -> Token:
        """A token of the pod. Raises `TokenFault`."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    """What plugins make volumes from. `allocatable` gives the node's allocatable resources."""

    objects: Objects
    tokens: Tokens
    clock: Clock
    allocatable: Callable[[], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Request:
    """One volume of one pod. `directory` is where it is to appear; the folder above it exists."""

    pod: Object
    volume: Object
    directory: Path


class VolumePlugin(Protocol):
    """One kind of volume. `source` is its key in a pod's volume, `name` the plugin's name in Kubernetes."""

    @property
    def source(self) -> str:
        """The key: `emptyDir`."""
        ...

    @property
    def name(self) -> str:
        """The name: `kubernetes.io/empty-dir`."""
        ...

    @property
    def refreshes(self) -> bool:
        """Whether `set_up` is to be called again when something the pod refers to has changed."""
        ...

    async def set_up(self, request: Request, host: Host) -> Prepared:
        """Make the volume appear; safe to repeat. Raises `VolumeError`, `StatusError`, `PayloadError`, `OSError`."""
        ...
