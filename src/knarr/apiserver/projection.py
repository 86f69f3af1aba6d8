"""Cached objects in the form a client wants: their own bytes where possible, else decoded and turned."""

from __future__ import annotations

import msgspec
import orjson

from knarr.api import protobuf
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds
from knarr.apiserver.cache_reader import decode
from knarr.apiserver.negotiation import PARTIAL, PARTIAL_LIST, Form
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Entry, Viewed

_META_VERSION = "meta.k8s.io/v1"
PARTIALS = frozenset({PARTIAL, PARTIAL_LIST})


class _Partial(msgspec.Struct):
    """An object of which only the metadata is of interest."""

    metadata: msgspec.Raw


_partial_decoder = msgspec.json.Decoder(_Partial)


def partial(entry: Entry) -> bytes:
    """The entry as PartialObjectMetadata."""
    raw = bytes(_partial_decoder.decode(entry.body).metadata)
    return b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":' + raw + b"}"


def single(scope: Scope, entry: Entry, form: Form) -> bytes:
    """One object as JSON, as itself or as metadata (not as a Table)."""
    if form.kind in PARTIALS:
        return partial(entry)
    if scope.converts or isinstance(entry, Viewed):
        return orjson.dumps(served(scope, entry))
    return scope.keep.single(entry)


def item(scope: Scope, entry: Entry, form: Form) -> bytes:
    """One object as an item of a list: without its kind, unless it is a custom resource."""
    if form.kind in PARTIALS:
        return partial(entry)
    if scope.resource.custom is not None:
        return single(scope, entry, form)
    if not scope.converts:
        return entry.body
    obj = served(scope, entry)
    del obj["kind"], obj["apiVersion"]
    return orjson.dumps(obj)


def message(scope: Scope, entry: Entry, form: Form) -> bytes:
    """One object as a protobuf message without its type: itself, or as metadata. Raises `KeyError`."""
    kind, version = message_type(scope, form)
    if form.kind in PARTIALS:
        return protobuf.message(orjson.loads(partial(entry)), version, kind)
    return scope.messages.of(entry, lambda: protobuf.message(served(scope, entry), version, kind))


def message_type(scope: Scope, form: Form) -> tuple[str, str]:
    """Kind and apiVersion of an object's message."""
    if form.kind in PARTIALS:
        return PARTIAL, _META_VERSION
    return scope.resource.kind, scope.resource.api_version


def body(scope: Scope, entry: Entry, form: Form) -> bytes:
    """One object as a protobuf body. Raises as `message`."""
    kind, version = message_type(scope, form)
    return protobuf.envelope(version, kind, message(scope, entry, form))


def served(scope: Scope, entry: Entry) -> Object:
    """A fresh copy of the object in the served version, with its kind."""
    if isinstance(entry, Viewed):
        return entry.whole()
    obj = decode(scope.keep, entry)
    if scope.resource.custom is not None:
        return kinds.restored(obj, scope.resource) if scope.converts else obj
    return kinds.convert(obj, scope.stored, scope.resource) if scope.converts else obj


async def viewed(scope: Scope, entry: Entry) -> Entry:
    """An entry that `served` and `single` can show, where a webhook converts. Raises `StatusError`."""
    if scope.converter is None or isinstance(entry, Viewed):
        return entry
    return await scope.converter.view(entry)


async def stored_form(scope: Scope, obj: Object) -> Object:
    """An object of the served version as it is stored. Raises `StatusError`."""
    if scope.converter is not None:
        return await scope.converter.stored_form(obj)
    return kinds.convert(obj, scope.resource, scope.stored) if scope.converts else obj


def list_head(scope: Scope, form: Form) -> tuple[str, str]:
    """Kind and apiVersion of a list."""
    if form.kind in PARTIALS:
        return PARTIAL_LIST, _META_VERSION
    resource = scope.resource
    given = resource.custom.definition.list_kind if resource.custom is not None else ""
    return given or f"{resource.kind}List", resource.api_version
