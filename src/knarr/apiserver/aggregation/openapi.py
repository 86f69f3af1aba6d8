"""The OpenAPI documents of other API servers, as far as they are taken into this one's. Pure.

Input: documents that may be anything. Output: the paths of their group-versions and the types these refer to; where a
document makes no sense, nothing. Types of Kubernetes itself (`io.k8s.…`) are the same everywhere: ours are kept.
Source: k8s.io/kube-aggregator/pkg/controllers/openapi and openapiv3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from knarr.api.openapi.stream import Lazy
from knarr.apiserver.aggregation.routes import Route

_REF = "#/definitions/"
_ROOT = "/openapi/v3/"
Pairs = Iterator[tuple[str, Any]]


class Part(NamedTuple):
    """Paths and types of one route, in OpenAPI v2."""

    paths: Mapping[str, Any]
    definitions: Mapping[str, Any]


def index(document: Any, route: Route) -> str:
    """Where the v3 document of a route is, from the other server's index; empty where it has none."""
    paths = document.get("paths") if isinstance(document, dict) else None
    entry = paths.get(route.path[1:]) if isinstance(paths, dict) else None
    url = entry.get("serverRelativeURL") if isinstance(entry, dict) else None
    wanted = _ROOT + route.path[1:]
    return (
        url if isinstance(url, str) and url.partition("?")[0] == wanted and url.isascii() and url.isprintable() else ""
    )


def part(document: Any, route: Route) -> Part | None:
    """What a v2 document says of a route."""
    if not isinstance(document, dict):
        return None
    paths, definitions = document.get("paths"), document.get("definitions") or {}
    if not isinstance(paths, dict) or not isinstance(definitions, dict):
        return None
    own = {path: item for path, item in paths.items() if path == route.path or path.startswith(f"{route.path}/")}
    found = Part(own, {name: definitions[name] for name in _reached(own, definitions)})
    return found if own and _can_be_written(found) else None


def _can_be_written(found: Part) -> bool:
    """Whether the part makes a document: one server's nonsense must not spoil what all are told."""
    from knarr.api.openapi import gnostic

    pairs = (("paths", Lazy(found.paths.items)), ("definitions", Lazy(found.definitions.items)))
    try:
        for _ in gnostic.encode(Lazy(lambda: pairs)):
            pass
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return False
    return True


def _reached(paths: Any, definitions: Mapping[str, Any]) -> list[str]:
    """The types that paths refer to, those that these refer to, and so on."""
    out: dict[str, None] = {}
    waiting = list(_references(paths))
    while waiting:
        name = waiting.pop()
        if name not in out and name in definitions:
            out[name] = None
            waiting += _references(definitions[name])
    return sorted(out)


def _references(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            reference = one.get("$ref")
            if isinstance(reference, str) and reference.startswith(_REF):
                yield reference.removeprefix(_REF)
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def merged(document: Lazy, parts: Sequence[Part]) -> Lazy:
    """The v2 document of this server with the parts of others; what is there already stays as it is."""
    if not parts:
        return document

    def pairs() -> Pairs:
        for name, value in document.pairs():
            if name == "paths":
                yield name, _more(value, [one.paths for one in parts])
            elif name == "definitions":
                yield name, _more(value, [one.definitions for one in parts])
            else:
                yield name, value

    return Lazy(pairs)


def _more(own: Lazy, others: Iterable[Mapping[str, Any]]) -> Lazy:
    def pairs() -> Pairs:
        seen: set[str] = set()
        for name, value in own.pairs():
            seen.add(name)
            yield name, value
        for other in others:
            for name, value in other.items():
                if name not in seen:
                    seen.add(name)
                    yield name, value

    return Lazy(pairs)
