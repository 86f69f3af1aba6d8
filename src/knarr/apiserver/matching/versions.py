"""The objects of a request in the version that a rule names.

Input: a request's attributes, and as what it matched. Output: object and old object as the caller asked for them; what
needs no change is shared, so read-only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

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


class Converter(Protocol):
    """Makes objects of one version, where that takes time: a webhook converts."""

    async def shown(self, obj: Object) -> Object:
        """An object of any version in this one. Raises `StatusError`."""
        ...


#: What converts to a resource's version; None where it is done at once.
Converters = Callable[[Resource], Converter | None]


class Versions:
    """The versions of one request's objects, each made when it is first asked for.

    Where a webhook converts, `prepare` has to be awaited before.
    """

    def __init__(self, attributes: Attributes, converters: Converters = lambda _resource: None) -> None:
        self._attributes = attributes
        self._converters = converters
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

    async def prepare(self, match: Match) -> None:
        """Have the objects converted, if it takes a webhook. Raises `StatusError`."""
        attributes, target = self._attributes, match.resource
        if match.kind in self._made or not _differs(attributes, target):
            return
        converter = self._converters(target)
        if converter is not None:
            new, old = attributes.object, attributes.old_object
            self._made[match.kind] = Versioned(
                await converter.shown(new) if new is not None else None,
                await converter.shown(old) if old is not None else None,
            )

    async def taken(self, new: Object, match: Match) -> Object:
        """What a changed object makes of the request's own object. Raises `StatusError`."""
        attributes = self._attributes
        converter = self._converters(attributes.resource) if _differs(attributes, match.resource) else None
        return await converter.shown(new) if converter is not None else taken(new, attributes, match.resource)

    def forget(self) -> None:
        """The object has been changed: versions are made anew."""
        self._made.clear()


def shown(obj: Object | None, attributes: Attributes, target: Resource) -> Object | None:
    """An object of a request (whole, or the part that the subresource is) as one of `target`. Raises `StatusError`."""
    if obj is None:
        return None
    source = attributes.resource
    if attributes.subresource == "scale":
        # A workload goes through the write path whole; its Scale is what was sent.
        return kinds.scale_of(attributes.resource, obj, missing=0)
    return kinds.convert(obj, source, target) if _differs(attributes, target) else obj


def _differs(attributes: Attributes, other: Resource) -> bool:
    """Whether what is sent to the request's resource is of another kind there."""
    own, subresource = attributes.resource, attributes.subresource
    return own is not other and kind_of(own, subresource) != kind_of(other, subresource)


def taken(new: Object, attributes: Attributes, source: Resource) -> Object:
    """What a changed object (in the version of `source`) makes of the request's own object."""
    target = attributes.resource
    if attributes.subresource == "scale" and attributes.object is not None:
        return kinds.set_scale(target, attributes.object, new)
    return kinds.convert(new, source, target) if _differs(attributes, source) else new
