"""Bodies of kinds that have no table: custom resources, whose schema is applied by the caller.

Their content stays as it is; their metadata is that of every object, and becomes canonical.
"""

from __future__ import annotations

from typing import Any

from knarr.api.codec import exact
from knarr.api.codec.json_text import Pairs, plain
from knarr.api.codec.types import named
from knarr.apimachinery.types import Object

_METADATA = "meta.v1.ObjectMeta"


def read(value: Any) -> tuple[Object, tuple[str, ...]]:
    """The object of a parsed body, and strict decoding's complaints about repeated names and about its metadata.

    Raises `ValueError` with Go's text for malformed metadata.
    """
    problems = dict.fromkeys(repeated(value, ""))
    members: Object = plain(value) if value is not None else {}
    metadata, complaints = exact.read(named(_METADATA), _last(value, "metadata"))
    problems.update(dict.fromkeys(_below_metadata(text) for text in complaints if text.startswith("unknown")))
    head: Object = {"metadata": metadata}
    return {**head, **members, **head}, tuple(problems)


def _last(value: Any, name: str) -> Any:
    found = None
    for key, item in value if isinstance(value, Pairs) else (value or {}).items():
        found = item if key == name else found
    return found


def _below_metadata(complaint: str) -> str:
    return complaint.replace('"', '"metadata.', 1)


def repeated(value: Any, path: str) -> list[str]:
    """`duplicate field "spec.a"` for each name that an object has again, in order."""
    out: list[str] = []
    if isinstance(value, list) and not isinstance(value, Pairs):
        for at, item in enumerate(value):
            out += repeated(item, f"{path}[{at}]")
        return out
    seen: set[str] = set()
    for key, item in value if isinstance(value, Pairs) else ():
        below = f"{path}.{key}" if path else key
        if key in seen:
            out.append(f'duplicate field "{below}"')
        seen.add(key)
        out += repeated(item, below)
    return out
