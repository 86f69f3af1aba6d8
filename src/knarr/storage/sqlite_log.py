"""The writing side of the embedded store's file: every change is a row of `log`; a key's state is its newest row.

Which revision each key is at is known without asking the file, and the rows of a transaction are written by one
statement where they are not too many: for each statement the thread gives the interpreter away and has to get it back,
and that costs more than what SQLite does. https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from knarr.storage.store import ConflictError, Event, KeyExistsError, KeyNotFoundError, KeyValue, StoreError

#: History that is kept: seconds, and revisions whatever their age.
KEPT_SECONDS = 300.0
KEPT_REVISIONS = 50_000
#: Revisions forgotten in one step; steps come between commits.
COMPACTION_STEP = 500
#: Seconds between the marks that tell how old a revision is.
_MARK_EVERY = 15.0
#: Rows of one statement; there are as many prepared statements.
_ROWS = 32

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
  revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB NOT NULL,
  create_revision INTEGER NOT NULL, deleted INTEGER NOT NULL, previous INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS log_key ON log (key, revision);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('compacted', 0);
"""
_LIVE = """SELECT key, revision, create_revision FROM log
  WHERE revision IN (SELECT MAX(revision) FROM log GROUP BY key) AND deleted = 0"""
_VALUE = "SELECT value FROM log WHERE revision = ?"
_INSERTS = tuple(f"INSERT INTO log VALUES {', '.join(['(?, ?, ?, ?, ?, ?)'] * count)}" for count in range(_ROWS + 1))

Answer: TypeAlias = "tuple[asyncio.Future[int], int | Exception]"
#: revision, key, value, create_revision, deleted, previous.
_Row: TypeAlias = tuple[int, str, bytes, int, bool, int]


class Write(NamedTuple):
    """One request to the writing thread. `value` is None for a deletion, `expected` 0 for a creation."""

    key: str
    value: bytes | None
    expected: int
    answer: asyncio.Future[int]


class _State(NamedTuple):
    """Where a key is that exists."""

    revision: int
    create_revision: int


class Log:
    """One connection to the file, for one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.executescript(_SCHEMA)
        self.compacted: int = connection.execute("SELECT value FROM meta WHERE name = 'compacted'").fetchone()[0]
        newest: int | None = connection.execute("SELECT MAX(revision) FROM log").fetchone()[0]
        self.revision: int = max(newest or 0, self.compacted)
        self._live = {key: _State(revision, created) for key, revision, created in connection.execute(_LIVE)}
        #: (monotonic seconds, the revision then), oldest first. What was there at the start counts as new.
        self._marks: deque[tuple[float, int]] = deque()

    def commit(self, writes: Sequence[Write], *, with_previous: bool) -> tuple[list[Event], list[Answer]]:
        """Carry out writes in one transaction; the events, and what to answer each.

        Events tell of the state before `with_previous` only.
        """
        if not writes:
            return [], []
        before, states = self.revision, {write.key: self._live.get(write.key) for write in writes}
        try:
            return self._carry_out(writes, with_previous=with_previous)
        except sqlite3.Error as error:
            self.revision = before
            for key, state in states.items():
                self._set(key, state)
            return [], [(write.answer, StoreError(f"not written: {error}")) for write in writes]

    def _carry_out(self, writes: Sequence[Write], *, with_previous: bool) -> tuple[list[Event], list[Answer]]:
        """Raises `sqlite3.Error`: nothing is written then."""
        answers: list[Answer] = []
        rows: list[_Row] = []
        for write in writes:
            state = self._live.get(write.key)
            answers.append((write.answer, self._refusal(write, state, rows) or self._apply(write, state, rows)))
        befores = [self._previous(row, rows) if with_previous and row[5] else None for row in rows]
        self._insert(rows)
        events = [
            Event(KeyValue(key, value, revision, created), deleted, before)
            for (revision, key, value, created, deleted, _), before in zip(rows, befores, strict=True)
        ]
        return events, answers

    def _apply(self, write: Write, state: _State | None, rows: list[_Row]) -> int:
        """Make a write's row; gives its revision."""
        revision = self.revision = self.revision + 1
        created, previous = (state.create_revision, state.revision) if state is not None else (revision, 0)
        deleted = write.value is None
        value = write.value if write.value is not None else self._value(previous, rows)
        rows.append((revision, write.key, value, created, deleted, previous))
        self._set(write.key, None if deleted else _State(revision, created))
        return revision

    def _insert(self, rows: Sequence[_Row]) -> None:
        """Write rows, all or none."""
        if len(rows) <= _ROWS:
            if rows:
                self._connection.execute(_INSERTS[len(rows)], _flat(rows))
            return
        with _transaction(self._connection):
            for start in range(0, len(rows), _ROWS):
                part = rows[start : start + _ROWS]
                self._connection.execute(_INSERTS[len(part)], _flat(part))

    def _set(self, key: str, state: _State | None) -> None:
        if state is None:
            self._live.pop(key, None)
        else:
            self._live[key] = state

    def _value(self, revision: int, rows: Sequence[_Row]) -> bytes:
        """The value that a revision wrote, which may be about to be written."""
        if rows and revision >= rows[0][0]:
            return rows[revision - rows[0][0]][2]
        value: bytes = self._connection.execute(_VALUE, (revision,)).fetchone()[0]
        return value

    def _previous(self, row: _Row, rows: Sequence[_Row]) -> KeyValue:
        """The state that a row replaces."""
        return KeyValue(row[1], self._value(row[5], rows), row[5], row[3])

    def _refusal(self, write: Write, state: _State | None, rows: Sequence[_Row]) -> StoreError | None:
        if not write.expected:
            return None if state is None else KeyExistsError(write.key)
        if state is None:
            return KeyNotFoundError(write.key)
        if state.revision == write.expected:
            return None
        return ConflictError(KeyValue(write.key, self._value(state.revision, rows), *state))

    def compact(self, revision: int) -> int:
        """Forget history up to a revision, step by step."""
        revision = min(revision, self.revision)
        while self.compacted < revision:
            self._compact_step(min(revision, self.compacted + COMPACTION_STEP))
        return self.compacted

    def forget_old(self, now: float) -> None:
        """One step of compaction, when there is history older than what is kept."""
        if not self._marks or now - self._marks[-1][0] >= _MARK_EVERY:
            self._marks.append((now, self.revision))
        while len(self._marks) > 1 and now - self._marks[1][0] > KEPT_SECONDS:
            self._marks.popleft()
        aged = self._marks[0][1] if now - self._marks[0][0] > KEPT_SECONDS else 0
        due = max(aged, self.revision - KEPT_REVISIONS)
        if due >= self.compacted + COMPACTION_STEP:
            self._compact_step(self.compacted + COMPACTION_STEP)

    def close(self) -> None:
        """Move the log into the file and close it."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def _compact_step(self, until: int) -> None:
        """States replaced or deleted in this span of revisions go; so do the marks of the deletions."""
        span = (self.compacted, until)
        with _transaction(self._connection):
            self._connection.execute(
                "DELETE FROM log WHERE revision IN (SELECT previous FROM log WHERE revision > ? AND revision <= ?)",
                span,
            )
            self._connection.execute("DELETE FROM log WHERE revision > ? AND revision <= ? AND deleted = 1", span)
            self._connection.execute("UPDATE meta SET value = ? WHERE name = 'compacted'", (until,))
        self.compacted = until


def _flat(rows: Iterable[_Row]) -> list[object]:
    return [value for row in rows for value in row]


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
