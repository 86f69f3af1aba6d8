"""Custom resources, for controllers that work on every kind: followed as their definitions come and go."""

from __future__ import annotations

from collections.abc import Callable

from knarr.api.custom import definition
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object


class CustomKinds:
    """Tells which resources the definitions that a watch shows make served, and which no longer."""

    def __init__(self, add: Callable[[Resource], None], remove: Callable[[Resource], None]) -> None:
        self._add = add
        self._remove = remove
        self._known: dict[str, Resource] = {}

    def on_change(self, old: Object | None, new: Object | None) -> None:
        """Take a change of a definition."""
        name: str = (new or old or {})["metadata"]["name"]
        known, found = self._known.get(name), definition.preferred(new) if new is not None else None
        if known is not None and (found is None or _looks(known) != _looks(found)):
            del self._known[name]
            self._remove(known)
            known = None
        if found is not None and known is None:
            self._known[name] = found
            self._add(found)


def _looks(resource: Resource) -> tuple[str, str, bool]:
    return resource.api_version, resource.kind, resource.namespaced
