"""Reads image archives: OCI layouts and what `docker save` writes, plain or gzipped.

Input: a tar file. Output: the blobs to store and the images that name them; nothing is unpacked to disk.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from knarr.cri.image_names import normalise

INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
MANIFEST_TYPES = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
_CHUNK = 1 << 20


class ArchiveError(ValueError):
    """A file that is no image archive."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob: media type, `sha256:…`, size in bytes."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob of an archive. `member` names it in the tar; `data` holds what was made up while reading."""

    descriptor: Descriptor
    member: str = ""
    data: bytes = b""


class Archive:
    """An open archive: `images` maps full names to their descriptors, `blobs` are in the order to store them."""

    def __init__(self, path: Path) -> None:
        try:
            self._tar = tarfile.open(path)  # noqa: SIM115 - closed by `close`
            self._members = {_clean(member.name): member for member in self._tar.getmembers()}
        except OSError as error:
            raise ArchiveError(f"{path} cannot be read: {error.strerror or error}") from error
        except (tarfile.TarError, EOFError) as error:
            # The library tells every way it tried, a line each.
            raise ArchiveError(f"{path} is no tar archive: {str(error).splitlines()[0].rstrip(':')}") from error
        self.images: dict[str, Descriptor] = {}
        self.blobs: list[Blob] = []
        self._seen: set[str] = set()
        if "index.json" in self._members:
            self._read_layout()
        elif "manifest.json" in self._members:
            self._read_docker()
        else:
            raise ArchiveError(f"{path} is neither an OCI layout nor a docker archive: no index.json, no manifest.json")

    def close(self) -> None:
        """Close the file."""
        self._tar.close()

    def chunks(self, blob: Blob) -> Iterator[bytes]:
        """The bytes of a blob."""
        if not blob.member:
            yield blob.data
            return
        stream = self._open(blob.member)
        while chunk := stream.read(_CHUNK):
            yield chunk

    def _open(self, name: str) -> Any:
        member = self._members.get(_clean(name))
        stream = self._tar.extractfile(member) if member is not None else None
        if stream is None:
            raise ArchiveError(f"the archive lacks {name}")
        return stream

    def _load(self, name: str) -> Any:
        return json.loads(self._open(name).read())

    def _read_layout(self) -> None:
        tags = self._docker_tags()
        for described in self._load("index.json").get("manifests", []):
            self._walk(described)
            notes = described.get("annotations") or {}
            name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name", "")
            names = [name] if "/" in name or notes.get("io.containerd.image.name") else []
            for each in names or tags:
                self.images[normalise(each)] = _descriptor(described)

    def _docker_tags(self) -> list[str]:
        """Names from manifest.json, which `docker save` writes beside the layout."""
        if "manifest.json" not in self._members:
            return []
        images = self._load("manifest.json")
        return list(images[0].get("RepoTags") or []) if len(images) == 1 else []

    def _walk(self, described: dict[str, Any]) -> None:
        """Children first: content that refers to others is stored after them."""
        descriptor = _descriptor(described)
        member = "blobs/" + descriptor.digest.replace(":", "/")
        if descriptor.digest in self._seen or member not in self._members:
            return
        self._seen.add(descriptor.digest)
        if descriptor.media_type in INDEX_TYPES | MANIFEST_TYPES:
            for child in children(self._load(member)):
                self._walk(child)
        self.blobs.append(Blob(descriptor, member))

    def _read_docker(self) -> None:
        for image in self._load("manifest.json"):
            layers = [self._plain(layer) for layer in image["Layers"]]
            config = self._plain(image["Config"], "application/vnd.docker.container.image.v1+json")
            manifest = {
                "schemaVersion": 2,
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "config": _json(config),
                "layers": [_json(layer) for layer in layers],
            }
            data = json.dumps(manifest, separators=(",", ":")).encode()
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            descriptor = Descriptor(str(manifest["mediaType"]), digest, len(data))
            self.blobs.append(Blob(descriptor, data=data))
            for name in image.get("RepoTags") or []:
                self.images[normalise(name)] = descriptor

    def _plain(self, member: str, media_type: str = "") -> Descriptor:
        """A file of a docker archive as a blob; its digest has to be computed."""
        stream = self._open(member)
        hashed = hashlib.sha256()
        size = 0
        first = b""
        while chunk := stream.read(_CHUNK):
            first = first or chunk[:2]
            hashed.update(chunk)
            size += len(chunk)
        if not media_type:
            media_type = "application/vnd.docker.image.rootfs.diff.tar"
            media_type += ".gzip" if first == b"\x1f\x8b" else ""
        descriptor = Descriptor(media_type, "sha256:" + hashed.hexdigest(), size)
        if descriptor.digest not in self._seen:
            self._seen.add(descriptor.digest)
            self.blobs.append(Blob(descriptor, member))
        return descriptor

    def references(self, blob: Blob) -> dict[str, str]:
        """The labels by which containerd's garbage collector follows a manifest or index to its children."""
        if blob.descriptor.media_type not in INDEX_TYPES | MANIFEST_TYPES:
            return {}
        body = json.loads(b"".join(self.chunks(blob)))
        labels = {}
        if "config" in body:
            labels["containerd.io/gc.ref.content.config"] = body["config"]["digest"]
        for kind, items in (("l", body.get("layers")), ("m", body.get("manifests"))):
            for index, item in enumerate(items or []):
                if kind == "l" or item["digest"] in self._seen:
                    labels[f"containerd.io/gc.ref.content.{kind}.{index}"] = item["digest"]
        return labels


def children(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The descriptors that a manifest or index refers to."""
    found = list(body.get("manifests") or [])
    if "config" in body:
        found.append(body["config"])
    return cast(list[dict[str, Any]], found + list(body.get("layers") or []))


def _descriptor(described: dict[str, Any]) -> Descriptor:
    return Descriptor(described.get("mediaType", ""), described["digest"], int(described["size"]))


def _json(descriptor: Descriptor) -> dict[str, object]:
    return {"mediaType": descriptor.media_type, "size": descriptor.size, "digest": descriptor.digest}


def _clean(name: str) -> str:
    return name.removeprefix("./")
