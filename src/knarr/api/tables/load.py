"""Reading the committed tables."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import orjson

_FOLDER = Path(__file__).parent


@cache
def _names() -> frozenset[str]:
    """All tables: a name is looked up, never opened, before it is known. Some are made of what clients send."""
    return frozenset(path.relative_to(_FOLDER).as_posix() for path in _FOLDER.rglob("*.json*"))


def load(name: str) -> Any:
    """A table by file name; `.gz` files are unpacked. Raises `FileNotFoundError`."""
    if name not in _names():
        raise FileNotFoundError(name)
    data = (_FOLDER / name).read_bytes()
    return orjson.loads(gzip.decompress(data) if name.endswith(".gz") else data)


def exists(name: str) -> bool:
    """Whether there is such a table."""
    return name in _names()
