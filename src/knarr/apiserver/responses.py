"""Answers: status errors, objects in the wanted form, warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from knarr.apimachinery.errors import StatusError, not_acceptable
from knarr.apimachinery.types import Object
from knarr.apiserver import negotiation
from knarr.apiserver.negotiation import JSON, PROTOBUF, YAML, Form
from knarr.apiserver.request import Request, Response
from knarr.component_base.http import Pieces

_NO_CACHE = {"Cache-Control": "no-cache, private"}
#: Characters of all warnings of an answer, and of each once they are more.
_WARNINGS, _WARNING = 4096, 256
TEXT = "text/plain; charset=utf-8"


def json_bytes(body: bytes | Pieces, request: Request, status: int = 200) -> Response:
    """An answer whose JSON exists already."""
    response = Response(status, body, JSON, dict(_NO_CACHE))
    if request.warnings:
        add_warnings(response, request.warnings)
    return response


def obj(value: Any, request: Request, form: Form, status: int = 200) -> Response:
    """A decoded object in the wanted form."""
    response = Response(
        status, encode(value, form, pretty=wants_pretty(request, form)), form.content_type, dict(_NO_CACHE)
    )
    if request.warnings:
        add_warnings(response, request.warnings)
    return response


def encode(value: Any, form: Form, *, pretty: bool = False) -> bytes:
    """A decoded object as bytes. Raises `StatusError` 406 for an encoding that is not built in."""
    if form.media == YAML:
        import yaml

        text: str = yaml.dump(value, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), allow_unicode=True)
        return text.encode()
    if form.media == PROTOBUF:
        return _protobuf(value)
    if pretty:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"
    return orjson.dumps(value)


def _protobuf(value: Object) -> bytes:
    from knarr.api import protobuf

    try:
        return protobuf.encode(value)
    except KeyError as error:
        raise not_acceptable((JSON, YAML)) from error


def wants_pretty(request: Request, form: Form) -> bool:
    """Whether the client wants its JSON laid out for reading."""
    if form.pretty:
        return True
    text = request.query.get("pretty")
    if text is not None:
        return text.lower() not in ("false", "0")
    agent = request.headers.get("user-agent", "")
    return agent.startswith(("curl", "Wget", "Mozilla/5.0"))


def message(make: Callable[[], bytes], request: Request, status: int = 200) -> Response:
    """An answer in protobuf. Raises `StatusError` 406 for what has no message."""
    try:
        body = make()
    except KeyError as error:
        raise not_acceptable((JSON, YAML)) from error
    response = Response(status, body, PROTOBUF, dict(_NO_CACHE))
    if request.warnings:
        add_warnings(response, request.warnings)
    return response


def error(failure: StatusError, request: Request) -> Response:
    """The answer for a failure, in what the client takes."""
    headers = dict(_NO_CACHE)
    details = failure.details or {}
    if details.get("retryAfterSeconds"):
        headers["Retry-After"] = str(details["retryAfterSeconds"])
    form = Form(negotiation.error_media(request.headers.get("accept", "")))
    response = Response(failure.code, encode(failure.status(), form), form.content_type, headers)
    if request.warnings:
        add_warnings(response, request.warnings)
    return response


def success(request: Request, status: int = 200, details: Object | None = None) -> Object:
    """A `Status` that tells of success."""
    out: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details is not None:
        out["details"] = details
    if status != 200:
        out["code"] = status
    return out


def text(body: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A plain text answer."""
    return Response(status, body.encode(), TEXT, headers or {})


def page_not_found() -> Response:
    """The 404 of a path that nothing serves."""
    return text("404 page not found\n", 404)


def too_many_requests() -> Response:
    """The 429 of a server that has too much to do."""
    headers = {"Retry-After": "1", "X-Content-Type-Options": "nosniff"}
    return text("Too many requests, please try again later.\n", 429, headers)


def add_warnings(response: Response, warnings: Iterable[str]) -> None:
    """Give each warning its header, once; where they are too long together, each is cut and the last are left out."""
    items = list(dict.fromkeys(warnings))
    if sum(map(len, items)) > _WARNINGS:
        items = _cut(items)
    response.repeated += [("Warning", f"299 - {_quoted(item)}") for item in items]


def _cut(items: list[str]) -> list[str]:
    """The beginnings of as many texts as a client may be given."""
    kept: list[str] = []
    left = _WARNINGS
    for item in items:
        if left <= 0:
            break
        kept.append(item[:_WARNING])
        left -= len(kept[-1])
    return kept


def _quoted(item: str) -> str:
    escaped = item.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char >= " " else " " for char in escaped) + '"'
