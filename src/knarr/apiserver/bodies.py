"""Request bodies: read as an object of the wanted kind, with what strict validation says about them."""

from __future__ import annotations

import re
from typing import Any

import orjson

from knarr.api import codec
from knarr.api.codec import json_text
from knarr.api.resources import Resource
from knarr.apimachinery.errors import bad_request, request_entity_too_large, unsupported_media_type
from knarr.apimachinery.go_text import type_name
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds, negotiation
from knarr.apiserver.negotiation import JSON, PROTOBUF, YAML
from knarr.apiserver.request import Request
from knarr.component_base.http_server import MAX_BODY

_MAY_FORGET = re.compile(rb"managedFields[\"']?\s*:\s*\[\s*\]")

#: Something that may be empty: in YAML, and in JSON, where a pattern that begins with one character is much quicker.
_MAY_BE_EMPTY = re.compile(rb"""[:-]\s*(?:\[\s*\]|\{\s*\}|"")""")
_EMPTY_IN_JSON = re.compile(rb""":\s*(?:\[\s*\]|\{\s*\}|"")""")


def check_size(request: Request) -> None:
    """Raises `StatusError` 413 for a body that passed the limit."""
    if request.oversized:
        raise request_entity_too_large(f"Request entity too large: limit is {MAX_BODY}")


def read(request: Request, resource: Resource, validation: str) -> Object:
    """The body as an object of the resource's kind. Raises `StatusError` 400, 413, 415.

    With `validation` `Warn` complaints become warnings, with `Strict` a 400.
    """
    media = negotiation.body_media(request.headers.get("content-type", ""))
    if media == PROTOBUF and resource.custom is not None:
        raise unsupported_media_type((JSON, YAML))
    check_size(request)
    if media == PROTOBUF:
        obj, problems = _from_protobuf(request.body, resource)
    else:
        obj, problems = kinds.decode(resource, request.body, yaml=media == YAML)
        if (
            b"managedFields" in request.body
            and _MAY_FORGET.search(request.body)
            and forgets_managers(any_object(request.body, media))
        ):
            obj["metadata"]["managedFields"] = []
    if problems and validation == "Strict":
        raise codec.strict_error(resource.api_version, resource.kind, problems)
    if problems and validation == "Warn":
        request.warnings += problems
    return obj


def refill(request: Request, resource: Resource, obj: Object) -> Any:
    """Put empty lists and maps of the body back into its object; gives the body if there were any, else None."""
    media = negotiation.body_media(request.headers.get("content-type", ""))
    pattern = _EMPTY_IN_JSON if media == JSON else _MAY_BE_EMPTY
    if media == PROTOBUF or pattern.search(request.body) is None:
        return None
    body = json_text.plain(any_object(request.body, media))
    return body if kinds.refill(resource, obj, body) else None


def may_empty(patch: bytes) -> bool:
    """Whether a patch may leave lists or maps behind that are empty."""
    return _EMPTY_IN_JSON.search(patch) is not None or b'"remove"' in patch or b"$patch" in patch


def forgets_managers(body: Any) -> bool:
    """Whether an object has an empty list of managed fields: a wish to forget them that canonical objects lose."""
    metadata = body.get("metadata") if isinstance(body, dict) else None
    return isinstance(metadata, dict) and metadata.get("managedFields") == []


def _from_protobuf(data: bytes, resource: Resource) -> tuple[Object, tuple[str, ...]]:
    from knarr.api import protobuf

    try:
        body = protobuf.open_envelope(data)
        version, kind = body.api_version or resource.api_version, body.kind or resource.kind
        return kinds.normalise(resource, protobuf.decode(version, kind, body.raw))
    except (ValueError, KeyError) as error:
        head = f"the object provided is unrecognized (must be of type {resource.kind})"
        raise bad_request(f"{head}: {error}") from error


def parse(data: bytes) -> Any:
    """JSON of no particular kind. Raises `ValueError` with Go's words for a syntax error."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json_text.plain(json_text.parse(data))


def yaml_object(data: bytes) -> tuple[Object, list[str]]:
    """An object in JSON or YAML, and its repeated keys. Raises `StatusError` 400."""
    plain = _plain_json(data)
    if plain is not None:
        return plain, []
    from knarr.api.codec import yaml_text

    try:
        value, problems = yaml_text.parse(data)
    except ValueError as error:
        raise bad_request(f"error decoding YAML: error converting YAML to JSON: {error}") from error
    found = json_text.plain(value)
    if found is None:
        return {}, problems
    if not isinstance(found, dict):
        what = type_name(found)
        text = f"json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding YAML: error unmarshaling JSON: {text}")
    return found, problems


#: What YAML makes something else of than JSON does, or might: escapes, merged keys, text that is no ASCII, fractions.
_TELLING = (b"\\", b'"<<"', b"\x7f")
_FRACTION = re.compile(rb'(?:":|[\[,])-?[0-9]+[.e]')


def _plain_json(data: bytes) -> Object | None:
    """The object of a JSON text that means the same in YAML; None for whatever else. Most clients send such ones."""
    if data[:1] != b"{" or not data.isascii() or any(mark in data for mark in _TELLING):
        return None
    try:
        value: Object = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    again = codec.without_repeats(data, value)
    return value if again is not None and _FRACTION.search(again) is None else None


def any_object(data: bytes, media: str) -> Any:
    """A body of whatever kind it names, undecoded. Raises `ValueError`."""
    if media == YAML:
        from knarr.api.codec import yaml_text

        return yaml_text.parse(data)[0]
    if media == PROTOBUF:
        from knarr.api import protobuf

        body = protobuf.open_envelope(data)
        try:
            return protobuf.decode(body.api_version or "v1", body.kind, body.raw)
        except KeyError as error:
            raise ValueError(f"unknown type {error}") from error
    return parse(data)
