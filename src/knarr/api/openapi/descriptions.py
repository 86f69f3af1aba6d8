"""Descriptions of kinds and fields, for `kubectl explain`: read from the sources of the package lightkube-models.

The package is not imported (that needs the rest of lightkube): its classes' docstrings are parsed where they lie.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

#: Columns that the texts are wrapped at.
_WIDTH = 78
#: What a paragraph ends with.
_ENDS = (".", ":", ";", ")", '"', "'")
_FIELD = re.compile(r"^\* \*\*(\S+)\*\* ``[^`]*`` - (?:\*\(optional\)\* )?", re.MULTILINE)


def describe(name: str, schema: dict[str, Any]) -> None:
    """Add descriptions to the schema of a type, named as in documents, in place."""
    module, _, kind = name.rpartition(".")
    found = _docs(_module(module)).get(kind)
    if found is None:
        return
    text, fields = found
    if text:
        schema["description"] = text
    for field, value in schema.get("properties", {}).items():
        if fields.get(field):
            value["description"] = fields[field]


def _module(package: str) -> str:
    """`core_v1` for `io.k8s.api.core.v1`."""
    return "_".join(package.rsplit(".", 2)[-2:])


@cache
def _docs(module: str) -> dict[str, tuple[str, dict[str, str]]]:
    folder = _folder()
    path = folder / f"{module}.py" if folder else None
    if path is None or not path.is_file():
        return {}
    tree = ast.parse(path.read_text())
    return {node.name: _split(ast.get_docstring(node) or "") for node in tree.body if isinstance(node, ast.ClassDef)}


def _split(doc: str) -> tuple[str, dict[str, str]]:
    """The text of a kind, and those of its fields."""
    head, _, rest = doc.partition("**parameters**")
    parts = _FIELD.split(rest)
    # Fields that are Python keywords carry an underscore there.
    fields = {parts[at].rstrip("_"): _unwrapped(parts[at + 1]) for at in range(1, len(parts) - 1, 2)}
    return _unwrapped(head), fields


def _unwrapped(text: str) -> str:
    """Paragraphs as single lines again: a line that had room for the next word ended one; indented lines stay."""
    out = ""
    last = ""
    for line in (each.removeprefix("  ").rstrip() for each in text.strip().splitlines()):
        word = line.partition(" ")[0]
        if not out:
            out = line
        elif line.startswith(" ") or last.startswith(" ") or not line:
            out += "\n" + line
        elif len(last) + 1 + len(word) > _WIDTH or not last.endswith(_ENDS) or word[0].islower():
            out += " " + line
        else:
            out += "\n\n" + line
        last = line
    return out


@cache
def _folder() -> Path | None:
    found = importlib.util.find_spec("lightkube")
    for place in (found.submodule_search_locations or ()) if found else ():
        if (Path(place) / "models").is_dir():
            return Path(place) / "models"
    return None
