"""Imports, lists and removes images through containerd's own API, without `ctr`.

What was imported is written down in one file, from which the embedded registry serves (`registry.py`), so that
`imagePullPolicy: Always` holds for it on a machine without any registry.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from knarr.apimachinery import timestamps
from knarr.component_base.clock import Clock
from knarr.cri.channel import Connection
from knarr.cri.image_archive import Archive, Blob
from knarr.cri.image_names import normalise
from knarr.cri.runtime import NOT_FOUND, CriError
from knarr.wire.messages import Message

_SERVICES = "/containerd.services."
_NAMESPACE = {"containerd-namespace": "k8s.io"}
_WRITE, _COMMIT = 1, 2
_LEASE_TIME = timedelta(hours=1)
#: How long an image that was created may take to be seen by the CRI service.
_VISIBLE = 10.0


@dataclass(frozen=True, slots=True)
class Imported:
    """One imported image: what its name means."""

    media_type: str
    digest: str
    size: int


class ImportedImages:
    """The file that says which images were imported; read again whenever it changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._images: dict[str, Imported] = {}

    def all(self) -> dict[str, Imported]:
        """Full name → image."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return {}
        if self._stamp != (stat.st_mtime_ns, stat.st_ino):
            self._stamp = (stat.st_mtime_ns, stat.st_ino)
            loaded: dict[str, Any] = json.loads(self.path.read_text())
            self._images = {name: Imported(**image) for name, image in loaded.items()}
        return self._images

    def change(self, add: dict[str, Imported], remove: tuple[str, ...] = ()) -> None:
        """Add and remove names; the file is replaced as a whole."""
        images = {**self.all(), **add}
        for name in remove:
            images.pop(name, None)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".new")
        text = json.dumps(
            {n: {"media_type": i.media_type, "digest": i.digest, "size": i.size} for n, i in images.items()}, indent=1
        )
        temporary.write_text(text)
        temporary.replace(self.path)


class ImageStore:
    """Images in containerd's namespace `k8s.io`. Raises `CriError` and `ArchiveError`."""

    def __init__(self, socket: str, imported: ImportedImages, clock: Clock) -> None:
        self._connection = Connection(socket, _NAMESPACE)
        self._imported = imported
        self._clock = clock

    async def import_archive(self, path: Path, *, serve: bool = True) -> list[str]:
        """Import every image of an archive; gives the full names. `serve`: the embedded registry offers them too."""
        archive = Archive(path)
        try:
            lease = await self._lease()
            try:
                for blob in archive.blobs:
                    await self._store(archive, blob, lease)
                for name, descriptor in archive.images.items():
                    await self._name(name, {"media_type": descriptor.media_type, "digest": descriptor.digest,
                                            "size": descriptor.size}, lease)  # fmt: skip
            finally:
                await self._call("leases.v1.Leases/Delete", "DeleteLeaseRequest", {"id": lease})
        finally:
            archive.close()
        if serve:
            self._imported.change(
                {name: Imported(d.media_type, d.digest, d.size) for name, d in archive.images.items()}
            )
        await self._until_visible(list(archive.images))
        return sorted(archive.images)

    async def list_names(self) -> dict[str, str]:
        """Every named image and the digest it stands for."""
        answer = await self._call("images.v1.Images/List", "ListCtrImagesRequest", {}, "ListCtrImagesResponse")
        return {image["name"]: image["target"]["digest"] for image in answer["images"]}

    async def has(self, name: str) -> bool:
        """Whether containerd knows this full name."""
        try:
            await self._call("images.v1.Images/Get", "GetImageRequest", {"name": name}, "GetImageResponse")
        except CriError as error:
            if error.code == NOT_FOUND:
                return False
            raise
        return True

    async def remove(self, image: str) -> bool:
        """Remove a name; False when it was unknown. Unused content goes with it."""
        name = normalise(image)
        self._imported.change({}, (name,))
        try:
            await self._call("images.v1.Images/Delete", "DeleteImageRequest", {"name": name, "sync": True})
        except CriError as error:
            if error.code == NOT_FOUND:
                return False
            raise
        return True

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def _call(
        self, method: str, request: str, message: Message, response: str = "Empty", lease: str = ""
    ) -> Message:
        metadata = {"containerd-lease": lease} if lease else None
        return await self._connection.call(_SERVICES + method, request, message, response, metadata=metadata)

    async def _lease(self) -> str:
        """Keeps the garbage collector off what is being imported."""
        now = self._clock.now()
        name = f"knarr-import-{timestamps.micro(now)}"
        labels = {"containerd.io/gc.expire": timestamps.seconds(now + _LEASE_TIME)}
        await self._call("leases.v1.Leases/Create", "CreateLeaseRequest", {"id": name, "labels": labels})
        return name

    async def _store(self, archive: Archive, blob: Blob, lease: str) -> None:
        request = {"digest": blob.descriptor.digest}
        try:
            await self._call("content.v1.Content/Info", "InfoRequest", request, "InfoResponse", lease)
            return
        except CriError as error:
            if error.code != NOT_FOUND:
                raise
        path = _SERVICES + "content.v1.Content/Write"
        try:
            await self._connection.send_all(
                path, "WriteRequest", _writes(archive, blob), "WriteResponse", {"containerd-lease": lease}
            )
        except CriError as error:
            if error.code != "AlreadyExists":
                raise

    async def _name(self, name: str, target: Message, lease: str) -> None:
        image = {"name": name, "target": target}
        try:
            await self._call("images.v1.Images/Create", "CreateImageRequest", {"image": image}, lease=lease)
        except CriError as error:
            if error.code != "AlreadyExists":
                raise
            update = {"image": image, "update_mask": {"paths": ["target"]}}
            await self._call("images.v1.Images/Update", "UpdateImageRequest", update, lease=lease)

    async def _until_visible(self, names: list[str]) -> None:
        deadline = self._clock.monotonic() + _VISIBLE
        for name in names:
            request = {"image": {"image": name}}
            while True:
                answer = await self._connection.call(
                    "/runtime.v1.ImageService/ImageStatus", "ImageStatusRequest", request, "ImageStatusResponse"
                )
                if answer.get("image", {}).get("id"):
                    break
                if self._clock.monotonic() > deadline:
                    raise CriError("DeadlineExceeded", f"imported image {name} is not seen by the CRI service")
                await self._clock.sleep(0.01)


async def _writes(archive: Archive, blob: Blob) -> AsyncIterator[Message]:
    descriptor = blob.descriptor
    base: Message = {"ref": f"knarr-import-{descriptor.digest}", "total": descriptor.size}
    offset = 0
    for chunk in archive.chunks(blob):
        yield {**base, "action": _WRITE, "offset": offset, "data": chunk}
        offset += len(chunk)
    labels = archive.references(blob)
    yield {**base, "action": _COMMIT, "offset": offset, "expected": descriptor.digest, "labels": labels}
