"""The published documents, where they stand beside the checkout, and how to compare with them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[5] / "shared"
REFERENCE = SHARED / "reference" / "openapi"
needed = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the published documents are not beside this checkout")


def reference(name: str) -> Any:
    """A published document without its descriptions."""
    return bare(json.loads(gzip.decompress((REFERENCE / f"{name}.json.gz").read_bytes())))


def recorded(scenario: str) -> Any:
    """The first answer of a recorded discovery scenario, of a server with its default API set."""
    with gzip.open(SHARED / "golden" / "corpus" / "discovery.jsonl.gz") as lines:
        found = next(each for each in map(json.loads, lines) if each["id"] == f"discovery/openapi/{scenario}")
    return found["steps"][0]["response"]


def bare(value: Any) -> Any:
    """Without descriptions; a field of that name stays."""
    if isinstance(value, dict):
        return {key: bare(each) for key, each in value.items() if not (key == "description" and isinstance(each, str))}
    return [bare(each) for each in value] if isinstance(value, list) else value
