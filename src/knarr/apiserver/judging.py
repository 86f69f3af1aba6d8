"""Validation of what is written: at once, but for custom resources whose rules take long; those aside, in a thread."""

from __future__ import annotations

from collections.abc import Callable

from knarr.api.custom import objects
from knarr.api.resources import Resource
from knarr.api.structural import Effort, TooDearError
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds
from knarr.apiserver.policies import aside
from knarr.apiserver.policies import evaluation as policy_evaluation
from knarr.apiserver.request import Request

_Check = Callable[[Effort], list[FieldError]]


async def of_new(resource: Resource, obj: Object, request: Request) -> list[FieldError]:
    """What is wrong with a new object."""
    if resource.custom is None:
        return kinds.validate_create(resource, obj)
    return await _judged(lambda effort: objects.validate_create(resource, obj, effort), request)


async def of_changed(resource: Resource, obj: Object, old: Object, part: str, request: Request) -> list[FieldError]:
    """What is wrong with a change, through the object itself or a subresource; faults that may stay become warnings."""
    if resource.custom is None:
        return kinds.validate_update(resource, obj, old, part)
    return await _judged(lambda effort: objects.validate_update(resource, obj, old, part, effort), request)


async def _judged(check: _Check, request: Request) -> list[FieldError]:
    errors, warnings = await aside.done(_work, check)
    request.warnings += [] if errors else warnings
    return errors


def _work(check: _Check, *, quick: bool) -> tuple[list[FieldError], list[str]]:
    effort = Effort(quick)
    try:
        return check(effort), effort.warnings
    except TooDearError as error:
        raise policy_evaluation.TooDearError from error
