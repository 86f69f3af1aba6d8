"""Kubernetes v1.36's validation of built-in kinds, as pure functions on canonical, defaulted objects.

Input: an object as decoding, defaulting and the strategies leave it. Output: what is wrong, in Kubernetes' order and
words. Nothing here changes an object. The kinds stand in `kinds.py`.
"""

from __future__ import annotations

from knarr.api.resources import Resource
from knarr.api.validation import kinds, meta
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object

__all__ = ["covers", "validate_create", "validate_update", "warnings"]


def covers(resource: Resource) -> bool:
    """Whether there are rules for the objects of a resource: not for custom resources, nor for reviews."""
    return (resource.group, resource.plural) in kinds.covered()


def validate_create(resource: Resource, obj: Object) -> list[FieldError]:
    """What is wrong with a new object; empty when it may be stored. Raises `KeyError` for a kind without rules."""
    kind = kinds.rules(resource)
    errors: list[FieldError] = []
    meta.check_create(errors, kind.meta(obj), namespaced=resource.namespaced, name=kind.name)
    kind.create(errors, obj)
    return errors


def validate_update(resource: Resource, obj: Object, old: Object, subresource: str = "") -> list[FieldError]:
    """What is wrong with a change of `old` to `obj`, through the object itself or a subresource (`status`).

    Raises `KeyError` for a kind without rules.
    """
    kind = kinds.rules(resource)
    errors: list[FieldError] = []
    new_meta, old_meta = kind.meta(obj), kind.meta(old)
    meta.check_update(errors, new_meta, old_meta)
    part = kind.parts.get(subresource) if subresource else kind.update
    if part is not None:
        part(errors, obj, old)
    elif not subresource:
        kind.create(errors, obj)
    if kind.meta_again and not subresource:
        meta.check_create(errors, new_meta, namespaced=resource.namespaced, name=kind.name)
    return errors


def warnings(resource: Resource, obj: Object, old: Object | None = None) -> list[str]:
    """What a client should be told of an accepted object: deprecated fields, surprising values.

    Raises `KeyError` for a kind without rules.
    """
    return kinds.rules(resource).warnings(obj, old)
