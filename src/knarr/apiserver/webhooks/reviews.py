"""AdmissionReviews: the question to a webhook, and what its answer says.

Input: an `AdmissionRequest` (see `matching.requests`); a webhook's answer as plain JSON. Output: the question's bytes;
a checked `Verdict`, or `ValueError` that says what is wrong with the answer. A webhook may answer anything.
Source: k8s.io/apiserver/pkg/admission/plugin/webhook/request and webhook/errors.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from knarr.apimachinery import json_patch
from knarr.apimachinery.errors import StatusError, bad_request
from knarr.apimachinery.field import quote
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.types import Object

_KNOWN = ("v1", "v1beta1")
_GROUP = "admission.k8s.io"
_JSON_PATCH = "JSONPatch"
_GO = {bool: "bool", str: "string", int: "number", float: "number", list: "array", dict: "object"}
#: Members of an answer, the types they must have, and how Go names these.
_TYPES: Mapping[str, tuple[type, str]] = {
    "uid": (str, "types.UID"),
    "allowed": (bool, "bool"),
    "status": (dict, "v1.Status"),
    "patch": (str, "[]uint8"),
    "patchType": (str, "v1.PatchType"),
    "auditAnnotations": (dict, "map[string]string"),
    "warnings": (list, "[]string"),
}


class Verdict(NamedTuple):
    """What a webhook said."""

    allowed: bool
    #: The `Status` of a refusal; None when it gave none.
    status: Object | None
    #: A JSON patch, `b""` for none.
    patch: bytes
    patch_type: str
    annotations: Mapping[str, str]
    warnings: tuple[str, ...]


def version(accepted: Iterable[str]) -> str:
    """The version of the review that a webhook understands. Raises `ValueError`."""
    for one in accepted:
        if one in _KNOWN:
            return one
    raise ValueError("webhook does not accept known AdmissionReview versions (v1, v1beta1)")


def question(request: Object, uid: str, version: str) -> bytes:
    """The review that a webhook is sent."""
    review = {"kind": "AdmissionReview", "apiVersion": f"{_GROUP}/{version}", "request": {"uid": uid, **request}}
    return orjson.dumps(review)


def verdict(review: Object, uid: str, version: str, *, mutating: bool) -> Verdict:
    """What an answer says. Raises `ValueError`."""
    response = review.get("response")
    if response is None:
        raise ValueError("webhook response was absent")
    if not isinstance(response, dict):
        what = _GO.get(type(response), "object")
        raise ValueError(f"json: cannot unmarshal {what} into Go struct field AdmissionReview.response")
    _check_types(response)
    if version == "v1":
        _check_identity(review, response, uid)
    patch = _decoded(response.get("patch") or "")
    kind = response.get("patchType")
    if version == "v1":
        _check_patch(patch, kind, mutating=mutating)
    elif patch:
        kind = _JSON_PATCH
    return Verdict(
        allowed=response.get("allowed", False),
        status=response.get("status"),
        patch=patch if mutating else b"",
        patch_type=kind or "",
        annotations=response.get("auditAnnotations") or {},
        warnings=tuple(response.get("warnings") or ()),
    )


def _check_types(response: Object) -> None:
    for name, (wanted, shown) in _TYPES.items():
        value = response.get(name)
        if value is None:
            response.pop(name, None)
        elif type(value) is not wanted:
            raise _mistyped(value, name, shown)
    for one in response.get("warnings") or ():
        if not isinstance(one, str):
            raise _mistyped(one, "warnings", "string")
    for one in (response.get("auditAnnotations") or {}).values():
        if not isinstance(one, str):
            raise _mistyped(one, "auditAnnotations", "string")


def _mistyped(value: Any, name: str, wanted: str) -> ValueError:
    what = _GO.get(type(value), "null")
    return ValueError(
        f"json: cannot unmarshal {what} into Go struct field AdmissionResponse.response.{name} of type {wanted}"
    )


def _check_identity(review: Object, response: Object, uid: str) -> None:
    if response.get("uid", "") != uid:
        raise ValueError(f"expected response.uid={quote(uid)}, got {quote(response.get('uid', ''))}")
    api_version, kind = str(review.get("apiVersion") or ""), str(review.get("kind") or "")
    if (api_version, kind) != (f"{_GROUP}/v1", "AdmissionReview"):
        group, given = parse_api_version(api_version)
        wanted = f"{_GROUP}/v1, Kind=AdmissionReview"
        raise ValueError(f"expected webhook response of {wanted}, got {group}/{given}, Kind={kind}")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError("illegal base64 data in response.patch") from error


def _check_patch(patch: bytes, kind: str | None, *, mutating: bool) -> None:
    if not mutating:
        if patch:
            raise ValueError("validating webhook may not return response.patch")
        if kind is not None:
            raise ValueError("validating webhook may not return response.patchType")
        return
    if patch and kind is None:
        raise ValueError("webhook returned response.patch but not response.patchType")
    if kind is not None and not patch:
        raise ValueError("webhook returned response.patchType but not response.patch")
    if kind == "":
        raise ValueError('webhook returned invalid response.patchType of ""')


def operations(found: Verdict) -> list[Object]:
    """The operations of a verdict's patch, well formed. Raises `ValueError`."""
    try:
        value = orjson.loads(found.patch)
    except orjson.JSONDecodeError as error:
        raise ValueError(str(error)) from error
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        what = _GO.get(type(value), "number")
        raise ValueError(f"json: cannot unmarshal {what} into Go value of type jsonpatch.Patch")
    try:
        json_patch.check(value)
    except StatusError as error:
        raise ValueError(error.message) from error
    return value


def refusal(name: str, status: Object | None) -> StatusError:
    """The answer for a request that a webhook denied: code, reason and message are its own, within reason."""
    head = f"admission webhook {quote(name)} denied the request"
    status = status or {}
    code = status.get("code")
    message, reason = _text(status, "message"), _text(status, "reason")
    explained = message or reason
    details = status.get("details")
    return StatusError(
        code if isinstance(code, int) and 400 <= code < 1000 else 400,
        reason,
        f"{head}: {explained}" if explained else f"{head} without explanation",
        details if isinstance(details, dict) else None,
    )


def _text(status: Object, name: str) -> str:
    value = status.get(name)
    return value if isinstance(value, str) else ""


def no_dry_run(name: str) -> StatusError:
    """The answer for a dry run that a webhook cannot take part in."""
    return bad_request(f"admission webhook {quote(name)} does not support dry run")
