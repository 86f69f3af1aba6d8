"""What mutations must know of the kind of a request's body."""

from __future__ import annotations

from typing import Any

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery.errors import internal
from knarr.apimachinery.field_schema import FieldSchema
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds
from knarr.apiserver.matching.criteria import Match


class BodyKind:
    """The kind of the bodies sent to what a policy matched."""

    def __init__(self, match: Match) -> None:
        self._gvk = gvk = match.kind
        if gvk == match.resource.gvk:
            self._resource = match.resource
        else:
            found = registry.by_kind(*gvk)
            self._resource = found or Resource(gvk.group, gvk.version, "", gvk.kind, namespaced=True)

    @property
    def schema(self) -> FieldSchema | None:
        """How configurations are merged into it, if that is known."""
        return kinds.ownership(self._resource)

    def canonical(self, obj: Any, *, strict: bool) -> Object:
        """The object as the server would have decoded it, with defaults.

        `strict`: as its JSON is decoded, else as merged values are taken. Raises `ValueError`, `StatusError`.
        """
        if self.schema is None:
            # Options of a connection: they have no table.
            return dict(obj)
        new = self._decoded(obj) if strict else self._restored(obj)
        kinds.default(self._resource, new)
        return new

    def _decoded(self, obj: Any) -> Object:
        try:
            new, problems = kinds.normalise(self._resource, obj)
        except kinds.DecodeError as error:
            raise internal(error.cause) from error
        if problems:
            raise internal(f"strict decoding error: {', '.join(problems)}")
        return new

    def _restored(self, obj: Any) -> Object:
        try:
            return kinds.normalise(self._resource, obj)[0]
        except kinds.DecodeError as error:
            if self._resource.custom is not None:
                raise ValueError(error.cause) from error
        try:
            # Merged values may be whole floats where integers belong.
            return kinds.normalise(self._resource, kinds.restore(self._resource, obj))[0]
        except kinds.DecodeError as error:
            raise ValueError(error.cause) from error

    def __str__(self) -> str:
        group, version, kind = self._gvk
        return f"{group}/{version}, Kind={kind}"
