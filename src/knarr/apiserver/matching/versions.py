"""The objects of a request in the version that a rule names.

Input: a request's attributes, and as what it matched. Output: object and old object as the caller asked for them; what
needs no change is shared, so read-only.
"""

from __future__ import annotations

from typing import NamedTuple

from knarr.api.resources import Resource
from knarr.apimachinery.gvk import GroupVersionKind
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.matching.criteria import Match, kind_of


class Versioned(NamedTuple):
    """A request's objects in one version."""

    object: Object | None
    old_object: Object | None


class Versions:
    """The versions of one request's objects, each made when it is first asked for."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self._made: dict[GroupVersionKind, Versioned] = {}

    def get(self, match: Match) -> Versioned:
        """The objects as those of what the request matched."""
        found = self._made.get(match.kind)
        if found is None:
            attributes = self._attributes
            found = self._made[match.kind] = Versioned(
                shown(attributes.object, attributes, match.resource),
                shown(attributes.old_object, attributes, match.resource),
            )
        return found

    def forget(self) -> None:
        """The object has been changed: versions are made anew."""
        self._made.clear()


def shown(obj: Object | None, attributes: Attributes, target: Resource) -> Object | None:
    """An object of a request (whole, or the part that the subresource is) as one of `target`."""
    if obj is None:
        return None
    source, subresource = attributes.resource, attributes.subresource
    if subresource == "scale":
        # A workload goes through the write path whole; its Scale is what was sent.
        return kinds.scale_of(attributes.resource, obj, missing=0)
    if source is target or kind_of(source, subresource) == kind_of(target, subresource):
        return obj
    return kinds.convert(obj, source, target)


def taken(new: Object, attributes: Attributes, source: Resource) -> Object:
    """What a changed object (in the version of `source`) makes of the request's own object."""
    target, subresource = attributes.resource, attributes.subresource
    if subresource == "scale" and attributes.object is not None:
        return kinds.set_scale(target, attributes.object, new)
    if source is target or kind_of(source, subresource) == kind_of(target, subresource):
        return new
    return kinds.convert(new, source, target)
