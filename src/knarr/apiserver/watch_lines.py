"""The lines of a watch: how one event of a change looks to it, in its form and through its selectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from knarr.api import protobuf
from knarr.apimachinery.errors import not_acceptable
from knarr.apimachinery.types import Object
from knarr.apiserver import bookmarks, projection
from knarr.apiserver.context import Context
from knarr.apiserver.followers import Demand
from knarr.apiserver.negotiation import PROTOBUF, STREAMS, TABLE, Form
from knarr.apiserver.options import ListOptions
from knarr.apiserver.selectors import Match, Selectors
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Change, Entry, at_revision
from knarr.component_base.metrics import Key

#: Makes the line of an event of this type that shows this object.
Encode = Callable[[str, Entry], bytes]
ADDED, _MODIFIED, _DELETED = "ADDED", "MODIFIED", "DELETED"


@dataclass(slots=True)
class Watch:
    """One watch: what it is of, and how its lines are made."""

    ctx: Context
    scope: Scope
    prefix: str
    selectors: Selectors
    match: Match | None
    opts: ListOptions
    form: Form
    query: dict[str, str]
    #: Monotonic seconds at which it ends.
    deadline: float
    encode: Encode
    #: What tells lines of one change apart: the version, the form, a table's options.
    form_key: str
    #: How lines are made after the first one, where that differs: a table shows its columns once.
    later: tuple[Encode, str] | None = None
    #: The labels it is counted under.
    counted: Key = ()
    #: What it selects by that tells at once of which changes it need not hear.
    demand: Demand | None = None

    def line(self, change: Change, kind: str) -> bytes:
        """The line of a change as an event of this kind."""
        made = change.line(kind, self.form_key, self.encode)
        if self.later is not None:
            (self.encode, self.form_key), self.later = self.later, None
        return made

    def fresh_line(self, entry: Entry, kind: str) -> bytes:
        """The line of an object that is no change of its own."""
        made = self.encode(kind, entry)
        if self.later is not None:
            (self.encode, self.form_key), self.later = self.later, None
        return made


def line_of(one: Watch, change: Change) -> bytes:
    """The line of a change for this watch; empty when it is not selected."""
    entry, previous, match = change.entry, change.previous, one.match
    if match is None:
        kind = _DELETED if change.deleted else ADDED if previous is None else _MODIFIED
        return one.line(change, kind)
    before = previous is not None and match(previous.head)
    if change.deleted:
        selected = before if previous is not None else match(entry.head)
        return one.line(change, _DELETED) if selected else b""
    if match(entry.head):
        return one.line(change, _MODIFIED if before else ADDED)
    if not before or previous is None:
        return b""
    # It is selected no more: its last selected state, at the revision of the change.
    return one.fresh_line(at_revision(previous, entry.revision), _DELETED)


def encoders(ctx: Context, scope: Scope, form: Form, query: dict[str, str]) -> tuple[Encode, Encode | None]:
    """What makes the line of an event, and what makes those after the first, where that differs."""
    tables = ctx.tables
    if form.media == PROTOBUF:
        return _frames(scope, form), None
    if form.kind != TABLE or tables is None:
        return (
            lambda kind, entry: b'{"type":"%b","object":%b}\n' % (kind.encode(), projection.single(scope, entry, form))
        ), None

    def first(kind: str, entry: Entry) -> bytes:
        table = tables.table(scope, [projection.served(scope, entry)], query)
        return _json_line(kind, {**table, "metadata": {"resourceVersion": str(entry.revision)}})

    def later(kind: str, entry: Entry) -> bytes:
        table = tables.table(scope, [projection.served(scope, entry)], query)
        meta = {"resourceVersion": str(entry.revision)}
        return _json_line(kind, {**table, "metadata": meta, "columnDefinitions": None})

    return first, later


def _frames(scope: Scope, form: Form) -> Encode:
    """The events as protobuf. Raises `StatusError` 406 for kinds that have no messages."""
    if not form.kind and not protobuf.has(scope.resource.api_version, scope.resource.kind):
        raise not_acceptable(STREAMS[:1])
    return lambda kind, entry: protobuf.frame(kind, projection.body(scope, entry, form))


def _json_line(kind: str, obj: Object) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), orjson.dumps(obj))


def bookmark(one: Watch, revision: int, *, ends_initial: bool = False) -> bytes:
    """The line that tells of a revision."""
    entry = bookmarks.of(one.scope, one.form, revision, ends_initial=ends_initial)
    if one.form.kind == TABLE and one.ctx.tables is not None:
        table = one.ctx.tables.table(one.scope, [entry], {**one.query, "includeObject": "Object"})
        entry = bookmarks.as_table(table, entry, one.query, columns=one.later is not None)
    return other_line(one, "BOOKMARK", entry)


def other_line(one: Watch, kind: str, obj: Object) -> bytes:
    """The line of an event that tells of no object."""
    return protobuf.frame(kind, protobuf.encode(obj)) if one.form.media == PROTOBUF else _json_line(kind, obj)
