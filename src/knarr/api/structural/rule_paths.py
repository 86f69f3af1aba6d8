"""Paths below a value that a definition names (`fieldPath` of rules, `jsonPath` of selectable fields).

Only fields and members of maps: `.spec.name`, `['odd name']`.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from knarr.apimachinery.types import Object

_TOKEN = re.compile(r"'(?:\\.|[^'\\])*'|[.\[\]]|[^.\[\]]+", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}
_END = "unexpected end of JSON path"
_NO_FIELD = "does not refer to a valid field"


class Found(NamedTuple):
    """Where a path leads: `text` as errors show it (`.spec.map[key]`), the schema there; or the `problem` with it."""

    text: str = ""
    schema: Object | None = None
    problem: str = ""


class _Fault(ValueError):
    """A path that leads nowhere."""


def field_path(schema: Object, target: str, *, brackets: bool = True) -> Found:
    """Follow a path from a value of a schema. `brackets`: names may be written in brackets."""
    tokens = iter(_TOKEN.findall(target))
    text: list[str] = []
    try:
        for token in tokens:
            name = _name(token, tokens, brackets=brackets)
            shown, schema = _step(schema, name)
            text.append(shown)
            if token == "[":
                _close(tokens)
    except _Fault as fault:
        return Found(problem=str(fault))
    return Found("".join(text), schema)


def _name(token: str, tokens: Iterator[str], *, brackets: bool) -> str:
    if token == "[" and not brackets:
        raise _Fault("array notation is not allowed")
    if token not in (".", "["):
        raise _Fault(f"expected [ or . but got: {token}")
    name = next(tokens, None)
    if name is None:
        raise _Fault(_END)
    if token == ".":
        return name
    if len(name) < 2 or not (name.startswith("'") and name.endswith("'")):
        raise _Fault(f"expected single quoted string but got {name}")
    return _unescaped(name[1:-1])


def _unescaped(text: str) -> str:
    for found in _ESCAPE.finditer(text):
        if found[1] not in _ESCAPES:
            raise _Fault(f"invalid string literal: invalid escape char {found[0]}")
    return _ESCAPE.sub(lambda found: _ESCAPES[found[1]], text)


def _close(tokens: Iterator[str]) -> None:
    token = next(tokens, None)
    if token is None:
        raise _Fault(_END)
    if token != "]":
        raise _Fault(f"expected ] but got {token}")


def _step(schema: Object, name: str) -> tuple[str, Object]:
    properties, extra = schema.get("properties"), schema.get("additionalProperties")
    if properties:
        if name not in properties:
            raise _Fault(_NO_FIELD)
        return f".{name}", properties[name]
    if isinstance(extra, dict):
        return f"[{name}]", extra
    raise _Fault(_NO_FIELD)
