"""A read-only OCI registry on loopback that serves imported images to containerd.

A pull of an image that `knarr images import` brought is a true pull: containerd asks this registry first (it stands in
`hosts.toml` as the mirror of every registry) and goes on to the real one for everything that was not imported.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

from knarr.component_base.http import Request, Response
from knarr.component_base.http_server import HttpServer
from knarr.cri.image_archive import INDEX_TYPES, MANIFEST_TYPES
from knarr.cri.images import Imported, ImportedImages

_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 1 << 20
_TYPE = re.compile(rb'"mediaType"\s*:\s*"([^"]+)"')


class EmbeddedRegistry:
    """Serves what `imported` names out of containerd's content folder."""

    def __init__(self, imported: ImportedImages, blobs: Path) -> None:
        self._imported = imported
        self._blobs = blobs / "sha256"
        self._server = HttpServer(self.handle, None)

    async def start(self) -> int:
        """Listen on a free loopback port; gives it."""
        return await self._server.listen("127.0.0.1", 0)

    async def close(self) -> None:
        """Stop."""
        await self._server.close()

    async def handle(self, request: Request) -> Response:
        """Answer one request of the distribution API."""
        if request.method not in ("GET", "HEAD"):
            return _refuse(405, "UNSUPPORTED")
        if request.path in ("/v2", "/v2/"):
            return Response(200, b"{}", "application/json")
        match = _PATH.fullmatch(request.path)
        if match is None:
            return _refuse(404, "NAME_UNKNOWN")
        repository = f"{request.query.get('ns') or 'docker.io'}/{match['name']}"
        if match["kind"] == "manifests":
            return self._manifest(repository, match["reference"])
        return self._blob(request, repository, match["reference"])

    def _manifest(self, repository: str, reference: str) -> Response:
        image = self._imported.all().get(f"{repository}:{reference}")
        digest = image.digest if image else reference
        path = self._path(repository, digest)
        if path is None:
            return _refuse(404, "MANIFEST_UNKNOWN")
        data = path.read_bytes()
        headers = {"Docker-Content-Digest": digest}
        return Response(200, data, _media_type(data, image), headers=headers)

    def _blob(self, request: Request, repository: str, digest: str) -> Response:
        path = self._path(repository, digest)
        if path is None:
            return _refuse(404, "BLOB_UNKNOWN")
        if request.method == "HEAD":
            return _refuse(405, "UNSUPPORTED")  # containerd never asks; a streamed answer has no length to tell
        return Response(200, _read(path), "application/octet-stream", headers={"Docker-Content-Digest": digest})

    def _path(self, repository: str, digest: str) -> Path | None:
        """The file of a blob, if anything of this repository was imported."""
        if not _DIGEST.fullmatch(digest):
            return None
        if not any(name.startswith((f"{repository}:", f"{repository}@")) for name in self._imported.all()):
            return None
        path = self._blobs / digest.removeprefix("sha256:")
        return path if path.is_file() else None


async def _read(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _media_type(data: bytes, image: Imported | None) -> str:
    if image is not None and image.media_type:
        return image.media_type
    match = _TYPE.search(data)
    found = match[1].decode() if match else ""
    known = INDEX_TYPES | MANIFEST_TYPES
    return found if found in known else "application/vnd.oci.image.manifest.v1+json"


def _refuse(status: int, code: str) -> Response:
    body = {"errors": [{"code": code, "message": "not imported on this node"}]}
    return Response(status, json.dumps(body).encode(), "application/json")


def hosts_toml(port: int) -> str:
    """A `hosts.toml` naming the embedded registry as the first host to ask."""
    return f'[host."http://127.0.0.1:{port}"]\n  capabilities = ["pull", "resolve"]\n'
