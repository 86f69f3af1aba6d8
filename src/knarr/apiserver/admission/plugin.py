"""The shape of an admission plugin, and the refusal that all of them use."""

from __future__ import annotations

from typing import Protocol

from knarr.apimachinery.errors import StatusError, forbidden
from knarr.apiserver.attributes import Attributes

#: What a plugin wants to see: (plural, group) pairs; None stands for every resource.
Kinds = frozenset[tuple[str, str]] | None


class Mutator(Protocol):
    """A plugin that may change `attributes.object`."""

    name: str
    kinds: Kinds

    def admit(self, attributes: Attributes) -> None:
        """Change the object or refuse. Raises `StatusError`."""
        ...


class Validator(Protocol):
    """A plugin that may only refuse."""

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
