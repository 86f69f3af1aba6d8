"""What components ask of their informers, so that several of one process can share the same watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object


class Watched(Protocol):
    """The watch of one resource."""

    @property
    def synced(self) -> asyncio.Event:
        """Set when the first list has been taken over."""
        ...

    def listen(self, callback: Callable[[Object | None, Object | None], None], /) -> None:
        """Call back with (old, new) on every change, and with (None, object) for what is there already."""
        ...


class Watches(Protocol):
    """The watches of a process. Whoever made them runs and closes them."""

    def add(
        self, resource: Resource, /, *, namespace: str = "", field_selector: str = "", label_selector: str = ""
    ) -> Watched:
        """The watch of a resource; the same one each time for the same selection."""
        ...
