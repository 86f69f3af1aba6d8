"""Serves `/openapi/v3`: an index with hashes, and a document for each group-version.

Documents are made on the first request for one, kept gzip-compressed, and named by their hash for as long as the
server runs. https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence

import orjson

from knarr.api.openapi import schemas
from knarr.api.openapi.document import document
from knarr.api.resources import Resource
from knarr.apiserver.request import Request, Response

_V3 = "/openapi/v3"
_JSON = "application/json"
_FOREVER = {"Cache-Control": "public, immutable"}


class OpenApi:
    """Answers the paths below `/openapi/`; None for those it does not know."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._groups: dict[str, list[Resource]] = {}
        for resource in resources:
            self._groups.setdefault(resource.prefix.removeprefix("/"), []).append(resource)
        self._documents: dict[str, tuple[str, bytes]] = {}

    def __call__(self, request: Request) -> Response | None:
        """The answer to a request."""
        path = request.path.rstrip("/")
        if path == _V3:
            return Response(200, self._index())
        name = path.removeprefix(_V3 + "/")
        if name == path or name not in self._groups:
            return None
        etag, packed = self._document(name)
        quoted = f'"{etag}"'
        if request.headers.get("if-none-match") == quoted:
            return Response(304, b"", _JSON, {"ETag": quoted})
        headers = {"ETag": quoted, "Vary": "Accept-Encoding, Accept"}
        if request.query.get("hash") == etag:
            headers |= _FOREVER
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(200, packed, _JSON, {**headers, "Content-Encoding": "gzip"})
        return Response(200, gzip.decompress(packed), _JSON, headers)

    def _index(self) -> bytes:
        """Every document with a hash. The hash is that of what a document is made of: it need not be made for it."""
        entries = {name: {"serverRelativeURL": f"{_V3}/{name}?hash={self._hash(name)}"} for name in self._groups}
        return orjson.dumps({"paths": entries})

    def _hash(self, name: str) -> str:
        rows = [(each.plural, each.kind, each.verbs, each.storage_version_hash) for each in self._groups[name]]
        return hashlib.sha512(schemas.digest() + repr(rows).encode()).hexdigest().upper()

    def _document(self, name: str) -> tuple[str, bytes]:
        found = self._documents.get(name)
        if found is None:
            body = gzip.compress(orjson.dumps(document(self._groups[name])), compresslevel=6, mtime=0)
            found = self._documents[name] = (self._hash(name), body)
        return found
