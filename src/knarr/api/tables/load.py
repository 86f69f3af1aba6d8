"""Reading the committed tables."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import orjson

_FOLDER = Path(__file__).parent


def load(name: str) -> Any:
    """A table by file name; `.gz` files are unpacked. Raises `FileNotFoundError`."""
    data = (_FOLDER / name).read_bytes()
    return orjson.loads(gzip.decompress(data) if name.endswith(".gz") else data)


def exists(name: str) -> bool:
    """Whether there is such a table."""
    return (_FOLDER / name).is_file()
