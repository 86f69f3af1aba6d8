"""The finalizer that holds an object while it is in use.

Input: an object, its finalizer. Output: the update that adds it to an object that lacks it, or takes it from one that
may go.
"""

from __future__ import annotations

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Result, Update


def added(resource: Resource, obj: Object, finalizer: str) -> Result:
    """The object with its finalizer, where it lacks it."""
    finalizers = obj["metadata"].get("finalizers") or []
    return _finalized(resource, obj, [*finalizers, finalizer]) if finalizer not in finalizers else DONE


def removed(resource: Resource, obj: Object, finalizer: str) -> Result:
    """The object without its finalizer."""
    return _finalized(resource, obj, [item for item in obj["metadata"]["finalizers"] if item != finalizer])


def is_held(obj: Object, finalizer: str) -> bool:
    """Whether an object that is being deleted is held by the finalizer."""
    return bool(obj["metadata"].get("deletionTimestamp")) and finalizer in (obj["metadata"].get("finalizers") or ())


def _finalized(resource: Resource, obj: Object, finalizers: list[str]) -> Result:
    return Result((Update(resource, {**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}}),))
