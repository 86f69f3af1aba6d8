"""How a kind is validated: the functions that a module offers for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from knarr.api.validation import names
from knarr.api.validation.checks import Errors
from knarr.api.validation.names import NameCheck
from knarr.apimachinery.types import Object

#: Checks a new object.
Create = Callable[[Errors, Object], None]
#: Checks a change: the new object, then the stored one.
Update = Callable[[Errors, Object, Object], None]
#: What a client should be told of an object that is fine: the new one, and the stored one of an update.
Warn = Callable[[Object, "Object | None"], list[str]]

_META_AS_UPDATE = frozenset({"update"})
#: What strategies check of the metadata of an update, other than most do.
META_AS_CREATED = frozenset({"create"})
META_BOTH = frozenset({"create", "update"})
META_NOT_AGAIN: frozenset[str] = frozenset()


def nothing(errors: Errors, obj: Object, old: Object) -> None:
    """Nothing beyond metadata is checked."""


def no_create(errors: Errors, obj: Object) -> None:
    """Nothing beyond metadata is checked."""


def own_metadata(obj: Object) -> Object:
    """The object's metadata."""
    found: Object = obj.get("metadata") or {}
    return found


def no_warnings(obj: Object, old: Object | None) -> list[str]:
    """Nothing to say."""
    return []


@dataclass(frozen=True, slots=True)
class Kind:
    """The rules of one kind.

    `create` checks a new object apart from its metadata; `update` a changed one (when it is None, the new object is
    checked as if it were created); `parts` has the subresources with rules of their own; `name` says which names are
    good; `meta` gives the metadata that is to be checked. What every update checks of the metadata, a kind checks once
    more: `update_meta` says whether as an update, as a creation, or both. A fault is then told as often.
    """

    create: Create
    update: Update | None = None
    parts: Mapping[str, Update] = field(default_factory=dict)
    name: NameCheck = names.dns_subdomain
    warnings: Warn = no_warnings
    update_meta: frozenset[str] = _META_AS_UPDATE
    meta: Callable[[Object], Object] = own_metadata
    #: Finalizers without a domain are of those that Kubernetes knows.
    standard_finalizers: bool = True
