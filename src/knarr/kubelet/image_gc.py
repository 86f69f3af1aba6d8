"""Removes images that nothing uses when their disk runs full.

https://kubernetes.io/docs/concepts/architecture/garbage-collection/#container-image-lifecycle
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.cri.runtime import CriError, Runtime
from knarr.wire.messages import Message

_log = logs.get("kubelet.image_gc")
_NEVER = datetime.min.replace(tzinfo=UTC)
#: Seconds between two looks.
_PERIOD = 300.0


@dataclass(frozen=True, slots=True)
class Policy:
    """Begin above `high` percent, stop at `low`; images younger than `youngest` stay."""

    high: int = 85
    low: int = 80
    youngest: timedelta = timedelta(minutes=2)


class Disk(NamedTuple):
    """Size and free space of a file system, in bytes."""

    capacity: int
    available: int

    @property
    def used_percent(self) -> int:
        """How full it is."""
        return 100 - self.available * 100 // self.capacity if self.capacity else 0


@dataclass(slots=True)
class Record:
    """When an image was first seen, and when a container last used it (None: never)."""

    seen: datetime
    used: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shortage:
    """Not enough could be removed: the text of the event `FreeDiskSpaceFailed`, or `InvalidDiskCapacity`."""

    reason: str
    message: str


def excess(disk: Disk, policy: Policy) -> int:
    """How many bytes to free; 0 below the threshold."""
    if disk.used_percent < policy.high:
        return 0
    return max(disk.capacity * (100 - policy.low) // 100 - disk.available, 0)


def removable(
    images: Iterable[Message], records: Mapping[str, Record], kept: Collection[str], now: datetime, policy: Policy
) -> list[Message]:
    """The images that may go, the one that was out of use for longest first.

    `kept` are names that stay. An image is in use when its record says `now`.
    """
    free = []
    for image in images:
        record = records[image["id"]]
        named = {*image["repo_tags"], *image["repo_digests"]}
        if image["pinned"] or record.used == now or now - record.seen < policy.youngest or named & set(kept):
            continue
        free.append((record.used or _NEVER, record.seen, image["id"], image))
    return [image for *_, image in sorted(free, key=lambda entry: entry[:3])]


def statvfs(mountpoint: str) -> Disk:
    """The file system a path lies on."""
    found = os.statvfs(mountpoint)
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


@dataclass(slots=True, eq=False)
class ImageCollector:
    """Looks every five minutes.

    `kept` gives names that always stay (the sandbox image, imported images); `removed` hears of ids that are gone.
    """

    runtime: Runtime
    clock: Clock
    kept: Callable[[], Collection[str]]
    tell: Callable[[Shortage], None]
    policy: Policy = field(default_factory=Policy)
    disk: Callable[[str], Disk] = statvfs
    removed: Callable[[str], None] = lambda image_id: None
    _records: dict[str, Record] = field(default_factory=dict)
    _looked: datetime = _NEVER

    async def run(self) -> None:
        """Look and remove, for ever."""
        while True:
            try:
                await self.collect()
            except (CriError, OSError) as error:
                _log.warning("images not looked through", error=error)
            await self.clock.sleep(_PERIOD)

    async def collect(self) -> int:
        """Remove what has to go; gives the bytes freed. Raises `CriError` and `OSError`."""
        images = await self._detect()
        disk = await self._usage()
        if disk.capacity == 0:
            self.tell(Shortage("InvalidDiskCapacity", "invalid capacity 0 on image filesystem"))
            return 0
        wanted = excess(disk, self.policy)
        freed = await self.free(wanted, images) if wanted else 0
        if freed < wanted:
            self.tell(Shortage("FreeDiskSpaceFailed", _shortage(disk, freed)))
        return freed

    async def free(self, wanted: int, images: Collection[Message] | None = None) -> int:
        """Remove images until `wanted` bytes are free, as far as there are any; gives the bytes freed."""
        if images is None:
            images = await self._detect()
        freed = 0
        for image in removable(images, self._records, self.kept(), self._looked, self.policy):
            if freed >= wanted:
                break
            try:
                await self.runtime.remove_image(image["id"])
            except CriError as error:
                _log.warning("image not removed", image=image["id"], error=error)
                continue
            _log.info("image removed", image=image["id"], names=image["repo_tags"], bytes=image["size"])
            self._records.pop(image["id"], None)
            self.removed(image["id"])
            freed += int(image["size"])
        return freed

    async def _detect(self) -> list[Message]:
        """Bring the records up to date: which images there are, and which are in use now."""
        images = await self.runtime.list_images()
        used = {name for each in await self.runtime.list_containers() for name in _names(each)}
        now = self._looked = self.clock.now()
        present = {image["id"] for image in images}
        self._records = {key: record for key, record in self._records.items() if key in present}
        for image in images:
            record = self._records.setdefault(image["id"], Record(now))
            if used & {image["id"], *image["repo_tags"], *image["repo_digests"]}:
                record.used = now
        return images

    async def _usage(self) -> Disk:
        systems = await self.runtime.image_fs_info()
        if not systems:
            return Disk(0, 0)
        return self.disk(systems[0]["fs_id"]["mountpoint"])


def _names(container: Message) -> set[str]:
    return {container["image_ref"], (container.get("image") or {}).get("image", "")}


def _shortage(disk: Disk, freed: int) -> str:
    return (
        f"Insufficient free disk space on the node's image filesystem ({disk.used_percent:.1f}% of "
        f"{_gib(disk.capacity)} used). Failed to free sufficient space by deleting unused images (freed {freed} "
        "bytes). Consider resizing the disk or deleting unused files."
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
