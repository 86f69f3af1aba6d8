"""What an admission plugin is given: the attributes of one write, and a reader of cached objects.

A plugin is a pure module with a class that has `name` and one or both of `admit` (may change `object`) and
`validate` (may only refuse). Both raise `StatusError` to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, Protocol

import msgspec

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.apiserver.request import UserInfo


class Reader(Protocol):
    """Synchronous reads from the watch cache. What it gives is read-only."""

    def get(self, resource: str, group: str, namespace: str, name: str) -> Object | None:
        """One object by plural resource name and group (`"pods", ""`), or None."""
        ...

    def list(self, resource: str, group: str, namespace: str = "") -> Iterable[Object]:
        """The objects of a namespace, or of all."""
        ...


class Attributes(msgspec.Struct):
    """One write on its way to the store."""

    operation: Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
    resource: Resource
    subresource: str
    namespace: str
    name: str
    #: The new object (None for DELETE), already defaulted.
    object: Object | None
    #: The stored object (None for CREATE).
    old_object: Object | None
    user: UserInfo
    reader: Reader
    dry_run: bool = False
    #: CreateOptions, UpdateOptions or DeleteOptions, as the request gives them.
    options: Object = msgspec.field(default_factory=dict)
    #: Adds a Warning header to the answer.
    warn: Callable[[str], None] = lambda _text: None
    #: What plugins note for the audit log.
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    #: Set by a step outside the plugins that has changed the object: the mutating half runs a second time.
    reinvoke: bool = False
    #: It is the second time.
    again: bool = False
    #: What such steps keep for the second time, by their name.
    notes: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def kind_key(self) -> tuple[str, str]:
        """`("pods", "")`: what a plugin dispatches on."""
        return self.resource.plural, self.resource.group
