"""The shape of an admission plugin, and the refusal that all of them use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from knarr.apimachinery.errors import StatusError, forbidden
from knarr.apiserver.attributes import Attributes

#: What a plugin wants to see: (plural, group) pairs; None stands for every resource.
Kinds = frozenset[tuple[str, str]] | None


#: Whether a plugin wants to see an operation on a subresource (empty: the object itself).
Concerns = Callable[[str, str], bool]


def new_objects(operation: str, subresource: str) -> bool:
    """What plugins concern that complete new objects."""
    return operation == "CREATE" and not subresource


def written_objects(operation: str, subresource: str) -> bool:
    """What plugins concern that look at objects, but not at their subresources."""
    return operation in ("CREATE", "UPDATE") and not subresource


class Mutator(Protocol):
    """A plugin that may change `attributes.object`.

    It may have a function `concerns`: what that does not concern it is not asked about at all.
    """

    name: str
    kinds: Kinds

    def admit(self, attributes: Attributes) -> None:
        """Change the object or refuse. Raises `StatusError`."""
        ...


class Validator(Protocol):
    """A plugin that may only refuse. It may have `concerns` as well."""

    name: str
    kinds: Kinds

    def validate(self, attributes: Attributes) -> None:
        """Look at the final object. Raises `StatusError`."""
        ...


def refuse(attributes: Attributes, why: str) -> StatusError:
    """The 403 of a plugin: `pods "a" is forbidden: why`."""
    name = attributes.name
    if not name and attributes.object is not None:
        meta = attributes.object.get("metadata") or {}
        name = meta.get("name") or meta.get("generateName") or ""
    return forbidden(attributes.resource.plural, attributes.resource.group, name or "Unknown", why)
