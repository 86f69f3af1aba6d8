"""What a reconciler may order: changes of the cluster as plain data.

A runner carries them out in their order. Runs of `Create`, `Delete` or `Patch` of one resource, or of
`DeleteCollection`, go out side by side in growing batches (1, 2, 4, …), so that a failing server is not flooded. The
first failure ends the round; the key is tried again with back-off, and the next round is told of the failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import About


@dataclass(frozen=True, slots=True)
class EventNote:
    """An Event about `regarding` (a whole object, or as much of it as a reference needs)."""

    regarding: Object
    type: str
    reason: str
    #: In the note of a failed change, `{error}` is replaced by the message of the failure.
    message: str


#: What is told when a change is done or has failed.
Told = EventNote | tuple[EventNote, ...] | None


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object. `AlreadyExists` is success when the existing object has the same controller."""

    resource: Resource
    object: Object
    done: Told = None
    failed: Told = None


@dataclass(frozen=True, slots=True)
class Update:
    """Replace an object or its subresource; it carries the resourceVersion it was read at."""

    resource: Resource
    object: Object
    subresource: str = ""
    done: Told = None
    failed: Told = None


@dataclass(frozen=True, slots=True)
class Patch:
    """Patch an object or its subresource. `NotFound` is success. `options` are those of the query (`fieldManager`)."""

    resource: Resource
    namespace: str
    name: str
    patch: Any
    content_type: str = "application/strategic-merge-patch+json"
    subresource: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    done: Told = None
    failed: Told = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object. `NotFound` is success, and so is a conflict of the `uid` precondition.

    `propagation` is `Background`, `Foreground`, `Orphan` or empty; `grace` in seconds; `resource_version` is a
    second precondition.
    """

    resource: Resource
    namespace: str
    name: str
    uid: str = ""
    propagation: str = ""
    grace: int | None = None
    resource_version: str = ""
    done: Told = None
    failed: Told = None


@dataclass(frozen=True, slots=True)
class DeleteCollection:
    """Delete all objects of a resource in a namespace."""

    resource: Resource
    namespace: str
    done: Told = None
    failed: Told = None


Change = Create | Update | Patch | Delete | DeleteCollection


class Read(NamedTuple):
    """A live read, for decisions that a stale answer would make destructive. An empty name lists the collection."""

    resource: Resource
    namespace: str
    name: str = ""


class Ask(NamedTuple):
    """A question to the API server that is answered and not stored: a review, as JSON. Its answer comes as a read's."""

    resource: Resource
    body: bytes


class Document(NamedTuple):
    """A live read of what stands under a path that names no resource: OpenAPI, discovery."""

    path: str


class Attempt(NamedTuple):
    """A live read that may be refused: the answer is the object, or the `Status` that says why there is none.

    For what other servers answer, and for subresources; `query` are parameters as (name, value).
    """

    path: str
    query: tuple[tuple[str, str], ...] = ()


#: What a reconciler may have looked up before it decides.
Lookup = Read | Ask | Document | Attempt


class Tick(NamedTuple):
    """One more of what a metric counts; `labels` are the values of its labels."""

    about: About
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last round of this key ended early."""

    change: Change
    code: int
    reason: str
    message: str


class Names(Protocol):
    """A source of fresh names."""

    def suffix(self) -> str:
        """Five random characters, as `generateName` appends."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a reconciler is told beside the snapshot."""

    now: datetime
    names: Names
    failure: Failure | None = None
    #: The delay that the key asked for last is over, and nothing has cancelled it.
    delayed: bool = False
    #: When the watch showed the present version of an object; for watches that are `timed`.
    seen: Callable[[Resource, str, str], datetime | None] = lambda resource, namespace, name: None
    #: Answers of the reads asked for in the round before: the object (or the list object), None where it is absent.
    live: Mapping[Lookup, Object | None] = field(default_factory=dict)
    #: The key has asked for a delay that is not over yet.
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What is to be done, in this order: changes, events, reads.

    `requeue_after` in seconds: the key is looked at again then, unless the next round asks for no delay any more. With
    `reads` the key is reconciled again at once, with answers.
    """

    changes: tuple[Change, ...] = ()
    events: tuple[EventNote, ...] = ()
    requeue_after: float | None = None
    reads: tuple[Lookup, ...] = ()
    #: Counted once the changes are carried out.
    ticks: tuple[Tick, ...] = ()


DONE = Result()
