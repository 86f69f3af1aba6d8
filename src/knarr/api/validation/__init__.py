"""Kubernetes v1.36's validation of built-in kinds, as pure functions on canonical, defaulted objects.

Input: an object as decoding, defaulting and the strategies leave it. Output: what is wrong, in Kubernetes' order and
words. Nothing here changes an object. The kinds stand in `kinds.py`.
"""

from __future__ import annotations

from knarr.api.resources import Resource
from knarr.api.validation import kinds, meta
from knarr.api.validation.kind import Kind
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object

__all__ = ["covers", "validate_create", "validate_update", "warnings"]


def covers(resource: Resource) -> bool:
    """Whether there are rules for the objects of a resource: not for custom resources, nor for reviews."""
    return (resource.group, resource.plural) in kinds.covered()


def validate_create(resource: Resource, obj: Object) -> list[FieldError]:
    """What is wrong with a new object; empty when it may be stored, and for a kind without rules."""
    kind = kinds.find(resource)
    errors: list[FieldError] = []
    if kind is None:
        return errors
    meta.check_create(
        errors,
        kind.meta(obj),
        namespaced=resource.namespaced,
        name=kind.name,
        standard_finalizers=kind.standard_finalizers,
    )
    kind.create(errors, obj)
    return errors


def validate_update(resource: Resource, obj: Object, old: Object, subresource: str = "") -> list[FieldError]:
    """What is wrong with a change of `old` to `obj`, through the object itself or a subresource (`status`).

    Nothing for a kind without rules.
    """
    kind = kinds.find(resource)
    errors: list[FieldError] = []
    if kind is None:
        return errors
    _check_meta(errors, resource, kind, kind.meta(obj), kind.meta(old))
    part = kind.parts.get(subresource) if subresource else kind.update
    if part is not None:
        part(errors, obj, old)
    elif not subresource:
        kind.create(errors, obj)
    return errors


def _check_meta(errors: list[FieldError], resource: Resource, kind: Kind, new: Object, old: Object) -> None:
    """Metadata of a change, each fault as often as Kubernetes finds it."""
    if new is old:
        # Not the object's own metadata, and nothing changes it.
        return
    meta.check_change(errors, new, old)
    if not errors and not new.get("finalizers"):
        # The same checks would find as little.
        return
    if "update" in kind.update_meta:
        meta.check_update(errors, new, old, standard_finalizers=kind.standard_finalizers)
    if "create" in kind.update_meta:
        meta.check_create(errors, new, namespaced=resource.namespaced, name=kind.name)


def warnings(resource: Resource, obj: Object, old: Object | None = None) -> list[str]:
    """What a client should be told of an accepted object: deprecated fields, surprising values."""
    kind = kinds.find(resource)
    return kind.warnings(obj, old) if kind is not None else []
