"""Conditions of a status: finding, setting, removing them.

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.apimachinery.types import Object


def listed(obj: Object) -> Sequence[Object]:
    """The conditions in an object's status."""
    return (obj.get("status") or {}).get("conditions") or ()


def find(obj: Object, kind: str) -> Object | None:
    """The condition of a type in an object's status, or None."""
    return of_type(listed(obj), kind)


def of_type(conditions: Sequence[Object], kind: str) -> Object | None:
    """The condition of a type, or None."""
    return next((condition for condition in conditions if condition.get("type") == kind), None)


def without(conditions: Sequence[Object], kind: str) -> list[Object]:
    """The conditions of other types."""
    return [condition for condition in conditions if condition.get("type") != kind]


def replaced(conditions: Sequence[Object], condition: Object) -> list[Object]:
    """The conditions with one in the place of that of its type, or at the end."""
    kind = condition["type"]
    if of_type(conditions, kind) is None:
        return [*conditions, condition]
    return [condition if other.get("type") == kind else other for other in conditions]
