"""The `data` of a ControllerRevision is a text to Kubernetes: stored as it was sent, and not to change by a blank.

A patch goes over an object that was written anew, without blanks; an update brings its own text. So a revision whose
data was sent with blanks takes updates that repeat them, and no patch.
"""

from __future__ import annotations

import msgspec
import orjson

from knarr.api.resources import Resource
from knarr.apimachinery import field
from knarr.apimachinery.errors import invalid
from knarr.apimachinery.types import Object
from knarr.apiserver import negotiation
from knarr.apiserver.request import Request
from knarr.apiserver.watch_cache import Entry

#: Patches that leave the order of what they do not touch.
_IN_PLACE = frozenset({"application/json-patch+json", "application/merge-patch+json"})
_NO_TEXT = msgspec.Raw(b"")


class _Data(msgspec.Struct):
    data: msgspec.Raw = _NO_TEXT


_decoder = msgspec.json.Decoder(_Data)


def concerns(resource: Resource) -> bool:
    """Whether these are ControllerRevisions."""
    return resource.plural == "controllerrevisions" and resource.group == "apps"


def check(resource: Resource, request: Request, obj: Object, entry: Entry) -> None:
    """Refuse a change that has the same data in another text. Raises `StatusError` 422."""
    before = bytes(_decoder.decode(entry.body).data)
    if _text(request, obj) != before:
        error = field.invalid("data", obj.get("data"), "field is immutable")
        raise invalid(resource.kind, resource.group, obj["metadata"]["name"], [error])


def verbatim(request: Request, obj: Object) -> Object:
    """The object to be stored, with the text of its data."""
    text = _text(request, obj)
    return {**obj, "data": orjson.Fragment(text)} if text else obj


def _text(request: Request, obj: Object) -> bytes:
    """What the request makes of the data: its own text in a create or update, the plain one in a patch."""
    if obj.get("data") is None:
        return b""
    media = request.headers.get("content-type", "").partition(";")[0].strip()
    if request.method != "PATCH" and media in ("", negotiation.JSON):
        return bytes(_decoder.decode(request.body).data)
    return orjson.dumps(obj["data"], option=0 if media in _IN_PLACE else orjson.OPT_SORT_KEYS)
