"""Large JSON objects, made and written member by member, so that the whole is never held as a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Lazy:
    """A JSON object whose members are made whenever `pairs` is called."""

    pairs: Callable[[], Iterable[tuple[str, Any]]]


def pieces(value: Any) -> Iterator[bytes]:
    """The text of a value; each member of a `Lazy` one is a piece of its own."""
    if not isinstance(value, Lazy):
        yield orjson.dumps(value)
        return
    before = b"{"
    for name, member in value.pairs():
        yield before + orjson.dumps(name) + b":"
        yield from pieces(member)
        before = b","
    yield b"{}" if before == b"{" else b"}"


def whole(value: Lazy) -> dict[str, Any]:
    """All of it as a tree."""
    found: dict[str, Any] = orjson.loads(b"".join(pieces(value)))
    return found
