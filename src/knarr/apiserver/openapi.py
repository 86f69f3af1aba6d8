"""Serves `/openapi/v3` (an index with hashes, a document for each group-version) and `/openapi/v2` (one for all).

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

_V2, _V3 = "/openapi/v2", "/openapi/v3"
#: What clients ask for is no valid media type: the answer names another.
_ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_GNOSTIC = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_JSON = "application/json"
_FOREVER = {"Cache-Control": "public, immutable"}


class OpenApi:
    """Answers the paths below `/openapi/`; None for those it does not know."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._groups: dict[str, list[Resource]] = {}
        for resource in resources:
            self._groups.setdefault(resource.prefix.removeprefix("/"), []).append(resource)
        self._documents: dict[str, tuple[str, bytes]] = {}
        #: The v2 document by media type.
        self._whole: dict[str, bytes] = {}

    def __call__(self, request: Request) -> Response | None:
        """The answer to a request."""
        path = request.path.rstrip("/")
        if path == _V3:
            return Response(200, self._index())
        if path == _V2:
            return self._old(request)
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
        return _packed(request, packed, _JSON, headers)

    def _old(self, request: Request) -> Response:
        """The v2 document, as JSON or (what client-go wants) as protobuf."""
        accept = request.headers.get("accept", "")
        binary = _ASKED in accept or _GNOSTIC in accept
        media = _GNOSTIC if binary else _JSON
        if media not in self._whole:
            from knarr.api.openapi import gnostic, v2

            whole = v2.convert(document(resources) for resources in self._groups.values())
            self._whole[media] = _pack(gnostic.encode(whole) if binary else orjson.dumps(whole))
        return _packed(request, self._whole[media], media, {"Vary": "Accept-Encoding, Accept"})

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
            body = _pack(orjson.dumps(document(self._groups[name])))
            found = self._documents[name] = (self._hash(name), body)
        return found


def _pack(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=6, mtime=0)


def _packed(request: Request, packed: bytes, media: str, headers: dict[str, str]) -> Response:
    """A kept body, unpacked for those who cannot."""
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(200, packed, media, {**headers, "Content-Encoding": "gzip"})
    return Response(200, gzip.decompress(packed), media, headers)
