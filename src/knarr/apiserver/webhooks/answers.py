"""What webhooks answer: read with suspicion, failures worded as client-go words them.

Input: status, content type and bytes of an answer. Output: its JSON object, or `CallError`.
Source: k8s.io/client-go/rest (request.go), k8s.io/apimachinery/pkg/api/errors (NewGenericServerResponse).
"""

from __future__ import annotations

from typing import Any

import orjson

from knarr.api.codec import json_text
from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object

#: Bytes of a text that are quoted.
_QUOTED = 2048
_MEANINGS = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    409: "the server reported a conflict",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}
_VERBATIM = frozenset({403, 406, 415})


class CallError(Exception):
    """A call that brought no answer. `code` is the HTTP status that stands for it, where there is one."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


def read(status: int, content_type: str, body: bytes) -> Object:
    """The object that was answered. Raises `CallError`."""
    if not 200 <= status <= 206:
        raise CallError(_refused(status, content_type, body), status)
    if not body:
        raise CallError(f"0-length response with status code: {status} and content type: {content_type}")
    value = _parsed(body)
    if not isinstance(value, dict):
        shown = {list: "array", str: "string", bool: "bool"}.get(type(value), "number")
        text = f"json: cannot unmarshal {shown} into Go value of type struct " + _VERSION_KIND
        raise CallError(f"couldn't get version/kind; json parse error: {text}")
    if value.get("kind") == "Status" and value.get("apiVersion") == "v1" and value.get("status") != "Success":
        raise CallError(str(value.get("message") or "unknown"), _code(value))
    return value


_VERSION_KIND = '{ APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            return json_text.plain(json_text.parse(body))
        except ValueError as error:
            raise CallError(f"couldn't get version/kind; json parse error: {error}") from error


def _code(status: Object) -> int:
    code = status.get("code")
    return code if isinstance(code, int) else 0


def _refused(status: int, content_type: str, body: bytes) -> str:
    """What an HTTP error means; a `Status` says so itself."""
    told = _status(body)
    if told:
        return told
    text = body[:_QUOTED].decode("utf-8", "replace").strip()
    said = text if not content_type or content_type.startswith("text/") else "unknown"
    if status in _VERBATIM:
        return said or "unknown"
    if status in _MEANINGS:
        return _MEANINGS[status]
    if status >= 500:
        return f"an error on the server ({quote(said)}) has prevented the request from succeeding"
    return f"the server responded with the status code {status} but did not return more information"


def _status(body: bytes) -> str:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    if isinstance(value, dict) and value.get("kind") == "Status" and isinstance(value.get("message"), str):
        return str(value["message"])
    return ""
