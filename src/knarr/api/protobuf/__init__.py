"""Kubernetes' protobuf bodies, by tables: the envelope, and the messages of the built-in kinds as JSON objects.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple

import orjson

from knarr.api.tables.load import load
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.wire import protobuf, protobuf_writing
from knarr.wire.protobuf_tables import Field, Message

MAGIC = b"k8s\x00"
_META = "k8s.io.apimachinery.pkg.apis.meta.v1"
_SCALARS = frozenset({"string", "int32", "int64", "bool", "bytes", "double"})


class Body(NamedTuple):
    """What an envelope holds: the type it names (either may be empty), and the message's bytes."""

    api_version: str
    kind: str
    raw: bytes


def open_envelope(data: bytes) -> Body:
    """The contents of a body. Raises `ValueError`."""
    if not data.startswith(MAGIC):
        raise ValueError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    found = protobuf.decode(data[len(MAGIC) :], _message("k8s.io.apimachinery.pkg.runtime", "Unknown"))
    head = found.get("typeMeta") or {}
    return Body(head.get("apiVersion", ""), head.get("kind", ""), found.get("raw", b""))


def decode(api_version: str, kind: str, raw: bytes) -> Object:
    """The object of a message of this kind, as its JSON says it. Raises `ValueError`, `KeyError` for unknown kinds."""
    out: Object = protobuf.decode(raw, _message(_package(api_version, kind), kind))
    return {**out, "kind": kind, "apiVersion": api_version}


def encode(obj: Object) -> bytes:
    """An object, a list or a Status as a body: the envelope with the message in it.

    Raises `KeyError` for a kind that has no message, `ValueError` for an object that is none of its kind.
    """
    version, kind = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
    return envelope(version, kind, message(obj, version, kind))


def message(obj: Object, api_version: str, kind: str) -> bytes:
    """The message alone. Raises as `encode`."""
    return protobuf_writing.encode(obj, _message(_package(api_version, kind), kind))


def list_message(meta: Object, items: Iterable[bytes]) -> bytes:
    """The message of a list, of those of its items: every list has its metadata first and its items second."""
    head = protobuf_writing.encode(meta, _message(_META, "ListMeta"))
    parts = [b"\x0a", protobuf_writing.varint(len(head)), head]
    for item in items:
        parts += (b"\x12", protobuf_writing.varint(len(item)), item)
    return b"".join(parts)


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    """A body of a message of this type."""
    unknown = {"typeMeta": {"apiVersion": api_version, "kind": kind}, "raw": raw}
    return MAGIC + protobuf_writing.encode(unknown, _message("k8s.io.apimachinery.pkg.runtime", "Unknown"))


def frame(event_type: str, body: bytes) -> bytes:
    """An event of a watch as one frame: its length in four bytes, and the message; `body` is the object's."""
    data = protobuf_writing.encode({"type": event_type, "object": {"raw": body}}, _EVENT)
    return len(data).to_bytes(4, "big") + data


def has(api_version: str, kind: str) -> bool:
    """Whether a kind has a message."""
    try:
        _package(api_version, kind)
    except KeyError:
        return False
    return True


@cache
def _tables() -> Mapping[str, Any]:
    tables: Mapping[str, Any] = load("protobuf.json.gz")
    return tables


def _package(api_version: str, kind: str) -> str:
    """The package whose messages a group-version's kinds are."""
    packages = _tables()["packages"]
    found = packages.get(api_version)
    if found is None or kind not in _tables()["messages"][found]:
        if kind in _tables()["messages"][_META]:
            return _META
        raise KeyError(f"{api_version} {kind}")
    return str(found)


@cache
def _message(package: str, name: str) -> Message:
    rows = _tables()["messages"][package][name]
    full = f"{package}.{name}"
    fields = {row[0]: _field(package, row, name) for row in rows}
    finish = _FINISH.get(full) or _FINISH_NAMES.get(name)
    return Message(
        fields, finish, _START.get(full) or _START_NAMES.get(name), _ALWAYS.get(name, {}), scalar=name in _SCALAR
    )


def _field(package: str, row: list[Any], message_name: str) -> Field:
    _, name, label, kind = row
    name = _RENAMED.get(message_name, {}).get(name, name)
    if kind == "bytes" and message_name not in _BINARY:
        # JSON has them in base64.
        return Field(name, label, "base64")
    if kind in _SCALARS:
        return Field(name, label, kind)
    home, _, message = kind.rpartition(".") if kind.startswith(".") else (package, "", kind)
    return Field(name, label, "", partial(_message, home.lstrip("."), message))


# what messages become


@lru_cache(4096)
def _seconds(seconds: int) -> str:
    """The many times of an object, and of all that were made together, are few."""
    return timestamps.seconds(_moment({"seconds": seconds}))


def _time(found: dict[str, Any]) -> str | None:
    if not found:
        return None
    return _seconds(found.get("seconds", 0))


def _micro_time(found: dict[str, Any]) -> str | None:
    if not found:
        return None
    return timestamps.micro(_moment(found))


def _moment(found: dict[str, Any]) -> datetime.datetime:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    seconds, nanos = found.get("seconds", 0), found.get("nanos", 0)
    try:
        return epoch + datetime.timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError as error:
        raise ValueError(f"{seconds} seconds are no time of ours") from error


def _int_or_string(found: dict[str, Any]) -> int | str:
    if found.get("type"):
        return str(found.get("strVal", ""))
    return int(found.get("intVal", 0))


def _raw(found: dict[str, Any]) -> Any:
    content = found.get("raw") or found.get("Raw") or b""
    return orjson.loads(content) if content else None


def _schema_or(name: str, found: dict[str, Any]) -> Any:
    return found["schema"] if found.get("schema") is not None else found.get(name)


_FINISH: dict[str, Callable[[dict[str, Any]], Any]] = {
    f"{_META}.Time": _time,
    f"{_META}.MicroTime": _micro_time,
    f"{_META}.FieldsV1": _raw,
    "k8s.io.apimachinery.pkg.api.resource.Quantity": lambda found: found.get("string", "0"),
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    "k8s.io.apimachinery.pkg.runtime.RawExtension": _raw,
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON": _raw,
}
_FINISH_NAMES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ExtraValue": lambda found: found.get("items", []),
    "Verbs": lambda found: found.get("items", []),
    "JSONSchemaPropsOrBool": partial(_schema_or, "allows"),
    "JSONSchemaPropsOrArray": partial(_schema_or, "jSONSchemas"),
    "JSONSchemaPropsOrStringArray": partial(_schema_or, "property"),
}


# and the way back


@lru_cache(4096)
def _moment_of(text: str) -> Mapping[str, int]:
    moment = datetime.datetime.fromisoformat(text)
    return {"seconds": int(moment.timestamp() // 1), "nanos": moment.microsecond * 1000}


def _of_int_or_string(value: Any) -> dict[str, Any]:
    return {"type": 1, "strVal": value} if isinstance(value, str) else {"type": 0, "intVal": value}


def _of_schema_or(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"schema": value, **({"allows": True} if name == "allows" else {})}
    return {name: value}


def _of_raw(name: str, value: Any) -> dict[str, Any]:
    return {name: orjson.dumps(value)}


_START: dict[str, Callable[[Any], Mapping[str, Any]]] = {
    f"{_META}.Time": _moment_of,
    f"{_META}.MicroTime": _moment_of,
    f"{_META}.FieldsV1": partial(_of_raw, "Raw"),
    "k8s.io.apimachinery.pkg.api.resource.Quantity": lambda value: {"string": str(value)},
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": _of_int_or_string,
    "k8s.io.apimachinery.pkg.runtime.RawExtension": partial(_of_raw, "raw"),
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON": partial(_of_raw, "raw"),
}
_START_NAMES: dict[str, Callable[[Any], Mapping[str, Any]]] = {
    "ExtraValue": lambda value: {"items": value},
    "Verbs": lambda value: {"items": value},
    "JSONSchemaPropsOrBool": partial(_of_schema_or, "allows"),
    "JSONSchemaPropsOrArray": partial(_of_schema_or, "jSONSchemas"),
    "JSONSchemaPropsOrStringArray": partial(_of_schema_or, "property"),
}
#: Go writes what is no pointer even when it is zero; for a reader it makes no difference, but for these it is usual.
_ALWAYS: dict[str, Mapping[str, Any]] = {
    "ListMeta": {"selfLink": "", "resourceVersion": "", "continue": ""},
    "Status": {"metadata": {}, "status": "", "message": "", "reason": "", "code": 0},
    "StatusDetails": {"name": "", "group": "", "kind": "", "retryAfterSeconds": 0, "uid": ""},
    "Unknown": {"contentEncoding": "", "contentType": ""},
}
#: Messages that are text or numbers in JSON.
_SCALAR = frozenset({"Time", "MicroTime", "Quantity", "IntOrString"})
#: Messages that hold other documents as bytes.
_BINARY = frozenset({"Unknown", "FieldsV1", "RawExtension", "JSON"})
#: Fields whose name in JSON is another.
_RENAMED: dict[str, Mapping[str, str]] = {
    "JSONSchemaProps": {
        "ref": "$ref",
        "schema": "$schema",
        **{
            f"xKubernetes{name}": "x-kubernetes" + "".join(f"-{part.lower()}" for part in parts)
            for name, parts in {
                "PreserveUnknownFields": ("preserve", "unknown", "fields"),
                "EmbeddedResource": ("embedded", "resource"),
                "IntOrString": ("int", "or", "string"),
                "ListMapKeys": ("list", "map", "keys"),
                "ListType": ("list", "type"),
                "MapType": ("map", "type"),
                "Validations": ("validations",),
            }.items()
        },
    },
}
_RAW = Message({1: Field("raw", "optional", "bytes")})
#: A watch's event; its object's bytes are what they are, no JSON.
_EVENT = Message({1: Field("type", "optional", "string"), 2: Field("object", "optional", "", lambda: _RAW)})
