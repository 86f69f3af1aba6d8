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
    fields = {parts[at].rstrip("_"): parts[at + 1].strip() for at in range(1, len(parts) - 1, 2)}
    return head.strip(), fields


@cache
def _folder() -> Path | None:
    found = importlib.util.find_spec("lightkube")
    for place in (found.submodule_search_locations or ()) if found else ():
        if (Path(place) / "models").is_dir():
            return Path(place) / "models"
    return None
