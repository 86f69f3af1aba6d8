"""What changed in a struct, as messages show it: a unified diff of its indented JSON."""

from __future__ import annotations

import difflib
import json
from typing import Any

from knarr.api.validation.go_values import internal
from knarr.apimachinery.types import Object


def struct_diff(type_name: str, old: Object, new: Object) -> str:
    """The lines that differ between two objects of a type, with three lines around each."""
    return value_diff(internal(type_name, old), internal(type_name, new))


def value_diff(old: Any, new: Any) -> str:
    """The same of two JSON values."""
    before, after = (json.dumps(value, indent=1, ensure_ascii=False).splitlines() for value in (old, new))
    lines = list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]
    return "".join(f"{line}\n" for line in lines)
