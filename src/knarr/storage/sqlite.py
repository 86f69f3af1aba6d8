"""The embedded store: one SQLite file, written by one thread, durable before it answers.

Every change is a row of `log`; a key's state is its newest row. Requests that arrive while a commit is under way
share the next one, and so its fsync. https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from knarr.storage.feed import Feed, Subscriber
from knarr.storage.store import (
    CompactedError,
    ConflictError,
    Event,
    KeyExistsError,
    KeyNotFoundError,
    KeyValue,
    Page,
    StoreError,
)

#: History that is kept: seconds, and revisions whatever their age.
KEPT_SECONDS = 300.0
KEPT_REVISIONS = 50_000
#: Revisions forgotten in one step; steps come between commits.
COMPACTION_STEP = 500
#: Seconds between the marks that tell how old a revision is.
_MARK_EVERY = 15.0
_MOST_IN_COMMIT = 512
#: The highest character ends a range of keys.
_LAST = "\U0010ffff"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
  revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB NOT NULL,
  create_revision INTEGER NOT NULL, deleted INTEGER NOT NULL, previous INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS log_key ON log (key, revision);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('compacted', 0);
"""
_COLUMNS = "key, value, revision, create_revision"
_NEWEST = f"SELECT {_COLUMNS}, deleted FROM log WHERE key = ? AND revision <= ? ORDER BY revision DESC LIMIT 1"
_RANGE = """FROM log JOIN (SELECT MAX(revision) AS newest FROM log
  WHERE key >= ? AND key < ? AND key > ? AND revision <= ? GROUP BY key) ON revision = newest WHERE deleted = 0"""
_HISTORY = """SELECT log.key, log.value, log.revision, log.create_revision, log.deleted,
  old.value, old.revision, old.create_revision
  FROM log LEFT JOIN log AS old ON old.revision = log.previous
  WHERE log.revision > ? AND log.revision <= ? AND log.key >= ? AND log.key < ? ORDER BY log.revision LIMIT ?"""
_HISTORY_PAGE = 1000
_NO_LIMIT = -1
_NEVER = 2**62


class _Write(NamedTuple):
    """One request to the writing thread. `value` is None for a deletion, `expected` 0 for a creation."""

    key: str
    value: bytes | None
    expected: int
    answer: asyncio.Future[int]


class _Compact(NamedTuple):
    """A request to forget history."""

    revision: int
    answer: asyncio.Future[int]


class SqliteStore:
    """Implements `Store` on one file. Make it with `open`."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        """Opens the file; blocks. Raises `StoreError` when it is in use or unreadable."""
        self._loop = loop
        self._lock = _lock(path)
        self._feed = Feed()
        #: What each turn of the loop has brought; None at the end.
        self._requests: SimpleQueue[Sequence[_Write | _Compact] | None] = SimpleQueue()
        self._reader = _connect(path)
        self._reading = ThreadPoolExecutor(1, "sqlite-read")
        log = _Log(_connect(path))
        self._revision: int = log.revision
        self._compacted: int = log.compacted
        self._closed = False
        self._gathered: list[_Write] = []
        self._writer = threading.Thread(target=self._write_forever, args=(log,), name="sqlite-write", daemon=True)
        self._writer.start()

    @classmethod
    async def open(cls, path: Path) -> SqliteStore:
        """Open or create the store in a file. Raises `StoreError`."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(None, cls, path, loop)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}") from error

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """See `Feed.subscribe`."""
        return self._feed.subscribe(subscriber)

    async def revision(self) -> int:
        """See `Store`."""
        return self._revision

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        """See `Store`."""
        self._check(revision)
        rows = await self._read(_NEWEST, (key, revision or _NEVER))
        self._check(revision)
        return KeyValue(*rows[0][:4]) if rows and not rows[0][4] else None

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See `Store`."""
        self._check(revision)
        at = revision or self._revision
        span = (prefix, prefix + _LAST, after, at)
        rows = await self._read(f"SELECT {_COLUMNS} {_RANGE} ORDER BY key LIMIT ?", (*span, limit or _NO_LIMIT))
        items = [KeyValue(*row) for row in rows]
        remaining = 0
        if limit and len(items) == limit:
            span = (prefix, prefix + _LAST, max(after, items[-1].key), at)
            remaining = (await self._read(f"SELECT COUNT(*) {_RANGE}", span))[0][0]
        # A compaction may have overtaken the reading.
        self._check(at)
        return Page(items, at, remaining)

    async def create(self, key: str, value: bytes) -> int:
        """See `Store`."""
        return await self._write(key, value, 0)

    async def update(self, key: str, value: bytes, expected: int) -> int:
        """See `Store`."""
        return await self._write(key, value, expected)

    async def delete(self, key: str, expected: int) -> int:
        """See `Store`."""
        return await self._write(key, None, expected)

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Sequence[Event]]:
        """See `Store`."""
        if after < self._compacted:
            raise CompactedError(self._compacted)
        follower = self._feed.follow(prefix)
        try:
            until, seen = self._revision, after
            while seen < until:
                events = await self._history(prefix, seen, until)
                if seen < self._compacted:
                    raise CompactedError(self._compacted)
                if events:
                    yield events
                seen = events[-1].kv.mod_revision if len(events) == _HISTORY_PAGE else until
            while True:
                # `after` may lie ahead: revisions up to it are not asked for.
                if fresh := [event for event in await follower.take() if event.kv.mod_revision > seen]:
                    yield fresh
        finally:
            self._feed.leave(follower)

    async def compact(self, revision: int) -> None:
        """See `Store`."""
        answer: asyncio.Future[int] = self._loop.create_future()
        self._requests.put([_Compact(revision, answer)])
        await answer

    async def close(self) -> None:
        """See `Store`."""
        if self._closed:
            return
        self._closed = True
        self._hand_over()
        self._requests.put(None)
        await self._loop.run_in_executor(self._reading, self._writer.join)
        self._reading.shutdown()
        self._reader.close()
        os.close(self._lock)

    # reading

    def _check(self, revision: int) -> None:
        if revision and revision < self._compacted:
            raise CompactedError(self._compacted)

    async def _read(self, statement: str, parameters: tuple[object, ...]) -> Sequence[Sequence[Any]]:
        return await self._loop.run_in_executor(
            self._reading, lambda: self._reader.execute(statement, parameters).fetchall()
        )

    async def _history(self, prefix: str, after: int, until: int) -> Sequence[Event]:
        rows = await self._read(_HISTORY, (after, until, prefix, prefix + _LAST, _HISTORY_PAGE))
        return [
            Event(
                KeyValue(key, value, revision, created),
                bool(deleted),
                None if old_value is None else KeyValue(key, old_value, old_revision, old_created),
            )
            for key, value, revision, created, deleted, old_value, old_revision, old_created in rows
        ]

    # writing

    async def _write(self, key: str, value: bytes | None, expected: int) -> int:
        if self._closed:
            raise StoreError("the store is closed")
        answer: asyncio.Future[int] = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(_Write(key, value, expected, answer))
        return await answer

    def _hand_over(self) -> None:
        """Give the writing thread what one turn of the loop has brought, so that it shares a commit."""
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._requests.put(gathered)

    def _write_forever(self, log: _Log) -> None:
        """The writing thread: one commit after another."""
        while (requests := self._requests.get()) is not None:
            batch, closing = list(requests), False
            while not closing and len(batch) < _MOST_IN_COMMIT and not self._requests.empty():
                following = self._requests.get()
                if following is None:
                    closing = True
                else:
                    batch += following
            self._commit(log, batch)
            if closing:
                break
        log.close()

    def _commit(self, log: _Log, batch: Sequence[_Write | _Compact]) -> None:
        writes = [request for request in batch if isinstance(request, _Write)]
        events, answers = log.commit(writes)
        self._tell(events, answers, log.compacted)
        for request in batch:
            if isinstance(request, _Compact):
                self._tell([], [(request.answer, _attempt(log.compact, request.revision))], log.compacted)
        with contextlib.suppress(sqlite3.Error):
            # Another step is tried after the next commit; nobody waits for this one.
            log.forget_old(time.monotonic())

    def _tell(self, events: Sequence[Event], answers: Sequence[_Answer], compacted: int) -> None:
        # The loop may have ended before a last request was carried out: then nobody waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._committed, events, answers, compacted)

    def _committed(self, events: Sequence[Event], answers: Sequence[_Answer], compacted: int) -> None:
        """On the loop: followers first, then the writers."""
        self._compacted = compacted
        if events:
            self._revision = events[-1].kv.mod_revision
            self._feed.publish(events)
        for future, outcome in answers:
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


_Answer = tuple["asyncio.Future[int]", "int | Exception"]


class _Log:
    """The writing thread's side of the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.executescript(_SCHEMA)
        self.compacted: int = connection.execute("SELECT value FROM meta WHERE name = 'compacted'").fetchone()[0]
        newest: int | None = connection.execute("SELECT MAX(revision) FROM log").fetchone()[0]
        self.revision: int = max(newest or 0, self.compacted)
        #: (monotonic seconds, the revision then), oldest first. What was there at the start counts as new.
        self._marks: deque[tuple[float, int]] = deque()

    def commit(self, writes: Sequence[_Write]) -> tuple[list[Event], list[_Answer]]:
        """Carry out writes in one transaction; the events, and what to answer each."""
        events: list[Event] = []
        answers: list[_Answer] = []
        before = self.revision
        try:
            if writes:
                self._connection.execute("BEGIN IMMEDIATE")
                for write in writes:
                    answers.append((write.answer, self._apply(write, events)))
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.revision = before
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            return [], [(write.answer, StoreError(f"not written: {error}")) for write in writes]
        return events, answers

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

    def _apply(self, write: _Write, events: list[Event]) -> int | StoreError:
        row = self._connection.execute(_NEWEST, (write.key, _NEVER)).fetchone()
        current = KeyValue(*row[:4]) if row is not None and not row[4] else None
        refusal = _refusal(write, current)
        if refusal is not None:
            return refusal
        revision: int = self.revision + 1
        value = write.value if write.value is not None else current.value if current else b""
        deleted = write.value is None
        created = current.create_revision if current is not None else revision
        previous = current.mod_revision if current is not None else 0
        row = (revision, write.key, value, created, deleted, previous)
        self._connection.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", row)
        self.revision = revision
        events.append(Event(KeyValue(write.key, value, revision, created), deleted, current))
        return revision

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


def _refusal(write: _Write, current: KeyValue | None) -> StoreError | None:
    if not write.expected:
        return None if current is None else KeyExistsError(write.key)
    if current is None:
        return KeyNotFoundError(write.key)
    return None if current.mod_revision == write.expected else ConflictError(current)


def _attempt(action: Callable[[int], int], argument: int) -> int | Exception:
    try:
        return action(argument)
    except sqlite3.Error as error:
        return StoreError(f"not compacted: {error}")


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    # Each connection is used by one thread at a time; only closing happens on another.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA cache_size = -4096")
    return connection


def _lock(path: Path) -> int:
    """A second server on the same file would give revisions twice: only one may open it."""
    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise StoreError(f"{path} is in use by another process") from error
    return handle
