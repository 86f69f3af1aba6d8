"""Serves `/openapi/v3` (an index with hashes, a document for each group-version) and `/openapi/v2` (one for all).

Documents are made on the first request for one, piece by piece so that other requests go on meanwhile, and are kept
gzip-compressed. https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
import zlib
from collections.abc import Iterable, Iterator
from email.utils import formatdate
from typing import NamedTuple, Protocol

import orjson

from knarr.api.openapi import document, roots, schemas
from knarr.api.openapi.stream import pieces
from knarr.api.resources import Resource
from knarr.apiserver.aggregation import openapi
from knarr.apiserver.aggregation.openapi import Part
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import ServedResources
from knarr.component_base.clock import Clock

_V2, _V3 = "/openapi/v2", "/openapi/v3"
_JSON = "application/json"
#: What old clients ask for is no valid media type: the answer names another.
_GNOSTIC = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_V2_TYPES = {
    _JSON: _JSON,
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf": _GNOSTIC,
    _GNOSTIC: _GNOSTIC,
}
_V3_TYPES = {_JSON: _JSON}
_VARY = "Accept-Encoding, Accept"
#: A document that is asked for by its hash never changes: it may be kept for a year, in seconds.
_YEAR = 365 * 86400
#: Seconds that making a document may hold the event loop at a time.
_TURN = 0.005


class _Kept(NamedTuple):
    """A finished document."""

    etag: str
    packed: bytes


class Others(Protocol):
    """Other API servers behind this one."""

    @property
    def generation(self) -> int:
        """Grows with every change."""
        ...

    def openapi_v3(self) -> dict[str, str]:
        """Their documents by name, with URLs."""
        ...

    def openapi_v2(self) -> list[Part]:
        """Their parts of the one document."""
        ...

    async def document(self, request: Request, name: str) -> Response | None:
        """One of their documents. Raises `StatusError` 503."""
        ...


class OpenApi:
    """Answers the paths below `/openapi/`; None for those it does not know."""

    def __init__(self, served: ServedResources, clock: Clock, others: Others) -> None:
        self._clock = clock
        self._served = served
        self._others = others
        self._generation = (-1, -1)
        #: Documents by name, in their order; those of group-versions with their resources.
        self._parts: dict[str, list[Resource]] = {}
        self._kept: dict[str, _Kept] = {}
        self._making = asyncio.Lock()

    def _refresh(self) -> None:
        """See what is served by now; documents that would be others are forgotten."""
        generation = (self._served.generation, self._others.generation)
        if self._generation == generation:
            return
        self._generation = generation
        before, self._parts = self._parts, _parts(scope.resource for scope in self._served)
        for name in [key for key in self._kept if key.startswith(_V2) or before.get(key) != self._parts.get(key)]:
            del self._kept[name]

    async def __call__(self, request: Request) -> Response | None:
        """The answer to a request."""
        self._refresh()
        path = request.path.rstrip("/")
        if path == _V3:
            return self._index(request)
        accept = request.headers.get("accept", "")
        if path == _V2:
            media = _negotiate(accept, _V2_TYPES)
            return await self._answer(request, _V2 + media, media) if media else _not_acceptable()
        if not path.startswith(f"{_V3}/"):
            return None
        name = path.removeprefix(f"{_V3}/")
        if name in self._others.openapi_v3():
            return await self._others.document(request, name)
        if name not in self._parts:
            return Response(404, b"", "")
        return await self._group(request, name) if _negotiate(accept, _V3_TYPES) else _not_acceptable()

    def _index(self, request: Request) -> Response:
        """Every document with a hash. The hash is that of what a document is made of: it need not be made for it."""
        urls = {name: self._url(name) for name in self._parts} | self._others.openapi_v3()
        entries = {name: {"serverRelativeURL": urls[name]} for name in sorted(urls)}
        body = orjson.dumps({"paths": entries})
        etag = _quoted(hashlib.sha512(body).hexdigest().upper())
        headers = {"ETag": etag, "Vary": _VARY}
        # kube-apiserver leaves the type to be guessed, and clients do not look.
        media = "text/plain; charset=utf-8"
        return _unchanged(headers) if _matches(request, etag) else Response(200, body, media, headers)

    async def _group(self, request: Request, name: str) -> Response:
        wanted = request.query.get("hash", "")
        if wanted and wanted != self._hash(name):
            return Response(301, b"", "", {"Location": self._url(name), "Vary": "Accept"})
        response = await self._answer(request, name, _JSON)
        if wanted:
            response.headers["Cache-Control"] = "public, immutable"
            response.headers["Expires"] = formatdate(self._clock.now().timestamp() + _YEAR, usegmt=True)
        return response

    async def _answer(self, request: Request, key: str, media: str) -> Response:
        """A document that is kept, or is now made; not sent to those who have it."""
        async with self._making:
            kept = self._kept.get(key)
            while kept is None:
                made_of = self._generation
                kept = await self._make(key)
                if made_of == self._generation:
                    self._kept[key] = kept
        headers = {"ETag": _quoted(kept.etag), "Vary": _VARY}
        if _matches(request, headers["ETag"]):
            return _unchanged(headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(200, kept.packed, media, {**headers, "Content-Encoding": "gzip"})
        return Response(200, gzip.decompress(kept.packed), media, headers)

    async def _make(self, key: str) -> _Kept:
        if not key.startswith(_V2):
            packed, _ = await _pack(pieces(document.document(key, self._parts[key])))
            return _Kept(self._hash(key), packed)
        from knarr.api.openapi import gnostic, v2

        parts = self._parts
        custom = [each for part in parts.values() for each in part if each.custom is not None]
        whole = v2.document(lambda: (document.items(*part) for part in parts.items()), custom)
        whole = openapi.merged(whole, self._others.openapi_v2())
        packed, digest = await _pack(gnostic.encode(whole) if key.endswith(_GNOSTIC) else pieces(whole))
        return _Kept(digest, packed)

    def _url(self, name: str) -> str:
        return f"{_V3}/{name}?hash={self._hash(name)}"

    def _hash(self, name: str) -> str:
        rows = [
            (each.plural, each.kind, each.verbs, each.storage_version_hash, _fingerprint(each))
            for each in self._parts[name]
        ]
        return hashlib.sha512(schemas.digest() + repr((name, rows)).encode()).hexdigest().upper()


def _fingerprint(resource: Resource) -> str:
    """Changes with the definition of a custom resource."""
    return resource.custom.definition.fingerprint if resource.custom is not None else ""


def _parts(resources: Iterable[Resource]) -> dict[str, list[Resource]]:
    parts: dict[str, list[Resource]] = {name: [] for name in roots.NAMES}
    for resource in resources:
        if resource.group and resource.custom is None:
            parts.setdefault(f"apis/{resource.group}", [])
        parts.setdefault(resource.prefix.removeprefix("/"), []).append(resource)
    return dict(sorted(parts.items()))


async def _pack(text: Iterator[bytes]) -> tuple[bytes, str]:
    """Compressed pieces and the hash of what they were; lets others run in between."""
    packer = zlib.compressobj(6, wbits=31)
    digest = hashlib.sha512()
    out, turn = bytearray(), time.perf_counter()
    for piece in text:
        digest.update(piece)
        out += packer.compress(piece)
        if time.perf_counter() - turn > _TURN:
            await asyncio.sleep(0)
            turn = time.perf_counter()
    out += packer.flush()
    return bytes(out), digest.hexdigest().upper()


def _negotiate(accept: str, offered: dict[str, str]) -> str:
    """The media type of the answer; empty when none fits. The first clause that fits wins."""
    for clause in (accept or "*/*").split(","):
        wanted = clause.split(";", 1)[0].strip()
        for media, answered in offered.items():
            if wanted in ("*/*", "application/*", media):
                return answered
    return ""


def _not_acceptable() -> Response:
    return Response(406, b"", "", {"Vary": _VARY})


def _quoted(etag: str) -> str:
    return f'"{etag}"'


def _matches(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return known == "*" or etag in (each.strip().removeprefix("W/") for each in known.split(","))


def _unchanged(headers: dict[str, str]) -> Response:
    return Response(304, b"", "", headers)
