"""What strategic merge patches must know of a kind: `apimachinery.strategic.MergeSchema` from the tables."""

from __future__ import annotations

from functools import cache

from knarr.api.codec.types import Shape, TypeInfo, named, of_kind
from knarr.apimachinery.strategic import MergeField, MergeSchema

__all__ = ["MergeSchema", "merge_schema"]


class _Schema:
    """The merge schema of one struct; its fields are looked up once."""

    def __init__(self, info: TypeInfo) -> None:
        self._info = info
        self._fields: dict[str, MergeField | None] = {}

    def merge_field(self, name: str) -> MergeField | None:
        """How the field merges, or `None` when there is no such field."""
        if name not in self._fields:
            self._fields[name] = self._made(name)
        return self._fields[name]

    def _made(self, name: str) -> MergeField | None:
        field = self._info.fields.get(name)
        if field is None:
            return None
        strategies = field.patch_strategy.split(",")
        strategy = next((item for item in strategies if item in ("merge", "replace")), "")
        shape = field.shape.item if field.shape.kind == "list" else field.shape
        return MergeField(strategy, field.merge_key, _of(shape))


def _of(shape: Shape | None) -> MergeSchema | None:
    return _schema(shape.struct) if shape is not None and shape.kind == "struct" else None


@cache
def _schema(name: str) -> _Schema:
    return _Schema(named(name))


def merge_schema(api_version: str, kind: str) -> MergeSchema | None:
    """The merge schema of a built-in kind, `None` for others."""
    info = of_kind(api_version, kind)
    return None if info is None else _schema(info.name)
