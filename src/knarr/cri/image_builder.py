"""Builds one-layer images with the standard library: the sandbox image, and what tests need.

The tar is at once an OCI layout (`index.json`) and a docker archive (`manifest.json`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm"}
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: `files` maps paths to (content, mode); `links` maps paths to the targets of symbolic links."""

    name: str
    files: Mapping[str, tuple[bytes, int]]
    links: Mapping[str, str] = field(default_factory=dict)
    directories: Sequence[str] = ()
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    env: Sequence[str] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
    user: str = ""
    workdir: str = "/"


def architecture() -> str:
    """The machine's architecture as images and nodes name it (`amd64`)."""
    machine = platform.machine()
    return _MACHINES.get(machine, machine)


def build(recipe: Recipe) -> bytes:
    """The image as a tar. The same recipe gives the same bytes."""
    raw = _layer(recipe)
    layer = gzip.compress(raw, compresslevel=1, mtime=0)
    config = _json(
        {
            "architecture": architecture(),
            "os": "linux",
            "created": _EPOCH,
            "config": {
                key: value
                for key, value in (
                    ("Env", list(recipe.env)),
                    ("Entrypoint", list(recipe.entrypoint)),
                    ("Cmd", list(recipe.command)),
                    ("User", recipe.user),
                    ("WorkingDir", recipe.workdir),
                )
                if value
            },
            "rootfs": {"type": "layers", "diff_ids": [_digest(raw)]},
            "history": [{"created": _EPOCH, "created_by": "knarr"}],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
        }
    )
    described = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    described["platform"] = {"architecture": architecture(), "os": "linux"}
    described["annotations"] = {"io.containerd.image.name": recipe.name}
    return _archive(recipe.name, [manifest, config, layer], described)


def _archive(name: str, blobs: Sequence[bytes], described: dict[str, object]) -> bytes:
    paths = ["blobs/sha256/" + _digest(blob).removeprefix("sha256:") for blob in blobs]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for path, blob in zip(paths, blobs, strict=True):
            _add(tar, path, blob)
        _add(tar, "index.json", _json({"schemaVersion": 2, "manifests": [described]}))
        _add(tar, "manifest.json", _json([{"Config": paths[1], "RepoTags": [name], "Layers": [paths[2]]}]))
    return out.getvalue()


def _layer(recipe: Recipe) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path in sorted(_parents(recipe)):
            info = tarfile.TarInfo(path)
            info.type = tarfile.DIRTYPE
            info.mode = 0o1777 if path == "tmp" else 0o755
            tar.addfile(info)
        for path, (content, mode) in sorted(recipe.files.items()):
            _add(tar, path.lstrip("/"), content, mode)
        for path, target in sorted(recipe.links.items()):
            info = tarfile.TarInfo(path.lstrip("/"))
            info.type = tarfile.SYMTYPE
            info.linkname = target
            tar.addfile(info)
    return out.getvalue()


def _parents(recipe: Recipe) -> set[str]:
    found = {path.strip("/") for path in recipe.directories}
    for path in [*recipe.files, *recipe.links, *(f"{each}/x" for each in recipe.directories)]:
        parts = path.strip("/").split("/")[:-1]
        found.update("/".join(parts[: end + 1]) for end in range(len(parts)))
    return found


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = mode
    tar.addfile(info, io.BytesIO(content))


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}
