"""Selectable fields of custom resources: read once from every object that comes, kept beside its bytes.

Source: KEP-4358; k8s.io/apiextensions-apiserver/pkg/registry/customresource/strategy.go (selectableFields).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from knarr.apiserver import selectable
from knarr.apiserver.selectable import Getter, Head, Meta


class CustomHead(Head):
    """A head with the fields that the definition lists, by their path."""

    fields: dict[str, str]


@lru_cache(maxsize=1024)
def head_of(paths: tuple[str, ...]) -> Callable[[bytes], Any] | None:
    """What reads a head; `None` where the usual one will do."""
    if not paths:
        return None

    def read(body: bytes) -> CustomHead:
        obj = orjson.loads(body)
        return CustomHead(
            msgspec.convert(obj["metadata"], Meta), {path.removeprefix("."): value_at(obj, path) for path in paths}
        )

    return read


def getters(paths: tuple[str, ...]) -> dict[str, Getter]:
    """What a field selector may name, with what reads it from a head."""
    found = selectable.getters("", "customresources", namespaced=True)
    return {**found, **{path.removeprefix("."): _getter(path.removeprefix(".")) for path in paths}}


def _getter(name: str) -> Getter:
    def read(head: Any) -> str:
        fields: dict[str, str] = head.fields
        return fields.get(name, "")

    return read


def value_at(obj: Any, path: str) -> str:
    """The text of a simple path (`.spec.color`); empty where there is nothing."""
    value = obj
    for part in path.removeprefix(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, dict | list) else str(value)
