"""Taking members over from an old object."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def keep(obj: Object, old: Object, *names: str) -> None:
    """Make members what they were, absent ones included."""
    for name in names:
        if name in old:
            obj[name] = old[name]
        else:
            obj.pop(name, None)
