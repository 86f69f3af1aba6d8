"""Bodies to canonical objects, and what the tables say of their types.

A canonical object has no unknown field; zero values are left out exactly where Go's `omitempty` leaves them out, and
always-written fields are there; quantities, times and base64 are in their canonical text. `metadata` stands first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from knarr.api.codec import custom, empties, exact, fast, json_text, unstructured
from knarr.api.codec.merge import MergeSchema, merge_schema
from knarr.api.codec.ownership import metadata as metadata_ownership
from knarr.api.codec.ownership import ownership
from knarr.api.codec.types import FieldInfo, Shape, TypeInfo
from knarr.api.codec.types import of_kind as type_of
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.types import Object

__all__ = [
    "DecodeError",
    "Decoded",
    "FieldInfo",
    "MergeSchema",
    "Shape",
    "TypeInfo",
    "decode",
    "decode_custom",
    "merge_schema",
    "metadata_ownership",
    "normalise",
    "normalise_part",
    "ownership",
    "refill",
    "refused",
    "restore",
    "strict_error",
    "strip",
    "type_of",
    "without_repeats",
]


_HEAD = frozenset({"kind", "apiVersion"})


class Decoded(NamedTuple):
    """The canonical object, and the complaints of strict decoding (`unknown field "spec.foo"`) in Go's order."""

    object: Object
    problems: tuple[str, ...] = ()


class DecodeError(StatusError):
    """400: the body is not of the kind; `cause` is the bare text, for messages that wrap it differently."""

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(400, "BadRequest", message)
        self.cause = cause


class _Fault(Exception):
    """What is wrong, and the kind and version the body claims (empty when they can't be read)."""

    def __init__(self, text: str, kind: str = "", version: str = "") -> None:
        super().__init__(text)
        self.kind, self.version = kind, version


def decode(api_version: str, kind: str, data: bytes, *, yaml: bool = False) -> Decoded:
    """The object of a request body (JSON, or YAML) that should be of this kind.

    An absent `kind` or `apiVersion` is taken as given. Raises `DecodeError` (400) with Kubernetes' text, and
    `KeyError` when the kind itself is not built in.
    """
    found = None if yaml else _quickly(api_version, kind, data)
    if found is not None:
        return found
    try:
        return _decode_exactly(api_version, kind, *(_yaml(data) if yaml else (_json(data), [])))
    except _Fault as fault:
        raise _error(kind, fault, data) from None


_NO_KIND = "Object 'Kind' is missing in 'object has no kind field '"


def decode_custom(api_version: str, kind: str, data: bytes, *, yaml: bool = False) -> Decoded:
    """The object of a body of a custom resource: as it is, with canonical metadata, kind and version.

    Its problems are repeated names and unknown fields of the metadata; what the schema does not know is the caller's to
    find. Raises `DecodeError` (400).
    """
    try:
        value, complaints = _yaml(data) if yaml else (_json(data), [])
        claimed_version, claimed_kind = _claims(value)
        if not claimed_kind:
            raise DecodeError(_NO_KIND, _NO_KIND)
        version = parse_api_version(claimed_version or api_version)[1]
        try:
            out, problems = custom.read(value)
        except ValueError as fault:
            raise _Fault(str(fault), claimed_kind, version) from None
    except _Fault as fault:
        raise _error(kind, fault, data) from None
    out["kind"], out["apiVersion"] = claimed_kind, claimed_version
    return Decoded(out, (*complaints, *problems))


def normalise(api_version: str, kind: str, obj: Object) -> Decoded:
    """The same from a decoded object, as a patch leaves it. `obj` is not changed.

    Raises `DecodeError`; its `cause` is the bare text. `KeyError` when the kind is not built in.
    """
    if obj.get("kind") == kind and obj.get("apiVersion") == api_version:
        out = _converted(api_version, kind, obj)
        if out is not None:
            return Decoded(out)
    try:
        return _decode_exactly(api_version, kind, obj, [])
    except _Fault as fault:
        raise _error(kind, fault, b"") from None


def normalise_part(api_version: str, kind: str, obj: Object, known: Object) -> Decoded | None:
    """As `normalise`, where a canonical object of the kind is known that `obj` shares members with.

    The new object shares them too, but for its metadata, of which it has a shallow copy; `None` where that is not the
    whole story.
    """
    if obj.get("kind") != kind or obj.get("apiVersion") != api_version:
        return None
    shared = {name: value for name, value in obj.items() if value is known.get(name) and name not in _HEAD}
    out = _converted(api_version, kind, {name: value for name, value in obj.items() if name not in shared})
    if out is None:
        return None
    if "metadata" in shared:
        # The server writes into it.
        shared["metadata"] = dict(known["metadata"])
    return Decoded({**out, **shared})


def refill(api_version: str, kind: str, obj: Object, body: Any) -> bool:
    """Put back the empty lists and maps that decoding left out, in place; whether there were any."""
    info = type_of(api_version, kind)
    return info is not None and empties.refill(info, obj, body)


def strip(api_version: str, kind: str, obj: Object, *, nulls: bool = True) -> None:
    """Make an object canonical again after `refill`, in place; without `nulls` only as far as Go writes nothing."""
    info = type_of(api_version, kind)
    if info is not None:
        empties.strip(info, obj, nulls=nulls)


def restore(api_version: str, kind: str, obj: Any) -> Object:
    """What a strategic merge patch made, as `normalise` takes it: that patch's way of reading is freer with numbers.

    Raises `DecodeError`. `KeyError` when the kind is not built in.
    """
    info = type_of(api_version, kind)
    if info is None:
        raise KeyError(f"{api_version} {kind}")
    try:
        return unstructured.restore(info, obj)
    except ValueError as fault:
        raise DecodeError(str(fault), str(fault)) from fault


def refused(api_version: str, kind: str, cause: str) -> DecodeError:
    """The error of a body of the kind that cannot be taken for this cause."""
    return _error(kind, _Fault(cause, kind, parse_api_version(api_version)[1]), b"")


def strict_error(api_version: str, kind: str, problems: tuple[str, ...]) -> DecodeError:
    """The error of `fieldValidation=Strict` for the complaints of a body."""
    cause = f"strict decoding error: {', '.join(problems)}"
    return _error(kind, _Fault(cause, kind, parse_api_version(api_version)[1]), b"")


def _quickly(api_version: str, kind: str, data: bytes) -> Decoded | None:
    """The object of a body that is as it should be, `None` for one that needs a closer look."""
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if type(parsed) is not dict or without_repeats(data, parsed) is None:
        return None
    if parsed.get("kind") != kind and parsed.get("kind"):
        return None
    if parsed.get("apiVersion") != api_version and parsed.get("apiVersion"):
        return None
    parsed["kind"], parsed["apiVersion"] = kind, api_version
    out = _converted(api_version, kind, parsed)
    return None if out is None else Decoded(out)


def without_repeats(data: bytes, parsed: Object) -> bytes | None:
    """The text of an object, written anew; `None` where it may have a name twice: then there are fewer quotes."""
    again = orjson.dumps(parsed)
    return again if len(again) == len(data) or _quotes(again) == _quotes(data) else None


def _quotes(data: bytes) -> int:
    quotes = data.count(b'"')
    return quotes - data.count(b'\\"') if b"\\" in data else quotes


def _converted(api_version: str, kind: str, obj: Object) -> Object | None:
    read = _reader(api_version, kind)
    if read is None:
        return None
    try:
        return read(obj)
    except (ValueError, TypeError):
        # The exact way finds out what it is.
        return None


@lru_cache(2048)
def _reader(api_version: str, kind: str) -> Callable[[Object], Object] | None:
    info = type_of(api_version, kind)
    return None if info is None else fast.reader(info)


def _json(data: bytes) -> Any:
    try:
        return json_text.parse(data)
    except ValueError as fault:
        raise _Fault(f"couldn't get version/kind; json parse error: {fault}") from None


def _yaml(data: bytes) -> tuple[Any, list[str]]:
    from knarr.api.codec import yaml_text

    try:
        return yaml_text.parse(data)
    except ValueError as fault:
        raise _Fault(str(fault)) from None


_CLAIMS = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'


def _decode_exactly(api_version: str, kind: str, value: Any, complaints: list[str]) -> Decoded:
    claimed_version, claimed_kind = _claims(value)
    claimed_version, claimed_kind = claimed_version or api_version, claimed_kind or kind
    version = parse_api_version(claimed_version)[1]
    info = type_of(claimed_version, claimed_kind)
    if info is None:
        if (claimed_version, claimed_kind) == (api_version, kind):
            raise KeyError(f"{api_version} {kind}")
        raise _Fault(_unregistered(claimed_version, claimed_kind), claimed_kind, version)
    try:
        out, problems = exact.read(info, value)
    except ValueError as fault:
        raise _Fault(str(fault), claimed_kind, version) from None
    if (claimed_version, claimed_kind) != (api_version, kind):
        _refuse_other(api_version, kind, claimed_version, claimed_kind)
    head: Object = {"metadata": out.pop("metadata")} if "metadata" in out else {}
    return Decoded({**head, **out, "kind": kind, "apiVersion": api_version}, (*complaints, *problems))


def _claims(value: Any) -> tuple[str, str]:
    """The body's own `apiVersion` and `kind`."""
    if value is None:
        return "", ""
    if not isinstance(value, dict | json_text.Pairs):
        what = exact.kind_of(value)
        raise _Fault(
            "couldn't get version/kind; json parse error: "
            f"json: cannot unmarshal {what} into Go value of type {_CLAIMS}"
        )
    members = dict(value)
    for name in ("apiVersion", "kind"):
        item = members.get(name)
        if item is not None and not isinstance(item, str):
            what = exact.kind_of(item)
            raise _Fault(
                "couldn't get version/kind; json parse error: "
                f"json: cannot unmarshal {what} into Go struct field .{name} of type string"
            )
    api_version = members.get("apiVersion") or ""
    if api_version.count("/") > 1:
        raise _Fault(f"unexpected GroupVersion string: {api_version}")
    return api_version, members.get("kind") or ""


_SCHEMES = {
    "apiextensions.k8s.io": "pkg/apiserver/apiserver.go:55",
    "apiregistration.k8s.io": "pkg/apiserver/scheme/scheme.go:28",
}


def _unregistered(api_version: str, kind: str) -> str:
    scheme = _SCHEMES.get(parse_api_version(api_version)[0], "pkg/api/legacyscheme/scheme.go:30")
    return f'no kind "{kind}" is registered for version "{api_version}" in scheme "{scheme}"'


def _refuse_other(api_version: str, kind: str, claimed_version: str, claimed_kind: str) -> None:
    """A body of another built-in kind, or of another version of the kind."""
    group, version = parse_api_version(claimed_version)
    wanted = parse_api_version(api_version)[0]
    if claimed_kind == kind and (group == wanted or kind == "Event"):
        text = (
            f"the API version in the data ({claimed_version}) does not match the expected API version ({api_version})"
        )
        raise DecodeError(text, text)
    target = wanted.partition(".")[0] or "core"
    raise _Fault(
        f"converting ({version}.{claimed_kind}) to ({target}.{kind}): unknown conversion", claimed_kind, version
    )


def _error(kind: str, fault: _Fault, data: bytes) -> DecodeError:
    cause = str(fault)
    if fault.kind:
        return DecodeError(f'{fault.kind} in version "{fault.version}" cannot be handled as a {kind}: {cause}', cause)
    return DecodeError(
        f"the object provided is unrecognized (must be of type {kind}): {cause} ({_summary(data)})", cause
    )


def _summary(data: bytes) -> str:
    """The head of a body: as text when it begins like JSON, else in hexadecimal."""
    if not data:
        return "<empty>"
    head = data[:30]
    text = head.decode("utf-8", "replace") if head[:1] == b"{" else head.hex()
    return f"{text} ..." if len(data) > len(head) else text
