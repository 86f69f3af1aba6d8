"""The embedded store: one SQLite file, written by one thread, durable before it answers.

Requests that arrive while a commit is under way share the next one, and so its fsync. What the thread does to the file
stands in `sqlite_log`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from knarr.storage.feed import Feed, Subscriber
from knarr.storage.sqlite_log import Answer, Log, Write
from knarr.storage.store import CompactedError, Event, KeyValue, Page, StoreError

_MOST_IN_COMMIT = 512
#: The highest character ends a range of keys.
_LAST = "\U0010ffff"

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
        self._requests: SimpleQueue[Sequence[Write | _Compact] | None] = SimpleQueue()
        self._reader = _connect(path)
        self._reading = ThreadPoolExecutor(1, "sqlite-read")
        log = Log(_connect(path))
        self._revision: int = log.revision
        self._compacted: int = log.compacted
        self._closed = False
        self._gathered: list[Write] = []
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
        self._gathered.append(Write(key, value, expected, answer))
        return await answer

    def _hand_over(self) -> None:
        """Give the writing thread what one turn of the loop has brought, so that it shares a commit."""
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._requests.put(gathered)

    def _write_forever(self, log: Log) -> None:
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

    def _commit(self, log: Log, batch: Sequence[Write | _Compact]) -> None:
        writes = [request for request in batch if isinstance(request, Write)]
        events, answers = log.commit(writes, with_previous=self._feed.followed)
        self._tell(events, answers, log.compacted)
        for request in batch:
            if isinstance(request, _Compact):
                self._tell([], [(request.answer, _attempt(log.compact, request.revision))], log.compacted)
        with contextlib.suppress(sqlite3.Error):
            # Another step is tried after the next commit; nobody waits for this one.
            log.forget_old(time.monotonic())

    def _tell(self, events: Sequence[Event], answers: Sequence[Answer], compacted: int) -> None:
        # The loop may have ended before a last request was carried out: then nobody waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._committed, events, answers, compacted)

    def _committed(self, events: Sequence[Event], answers: Sequence[Answer], compacted: int) -> None:
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


def _attempt(action: Callable[[int], int], argument: int) -> int | Exception:
    try:
        return action(argument)
    except sqlite3.Error as error:
        return StoreError(f"not compacted: {error}")


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
