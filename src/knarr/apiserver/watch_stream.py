"""The stream of a watch that the cache reaches back far enough for: what exists, then changes, with bookmarks."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Iterator
from functools import partial

from knarr.apiserver.fanout import PIECE, Fanout
from knarr.apiserver.options import ListOptions
from knarr.apiserver.watch_cache import Change, Entry, Watcher
from knarr.apiserver.watch_lines import ADDED, Watch, bookmark, line_of
from knarr.component_base.http import Sink

#: Seconds between bookmarks.
BOOKMARK = 60.0
#: Seconds between looks at whether the client is still there.
HEARTBEAT = 15.0


def sends_initial(opts: ListOptions) -> bool:
    """Whether the watch begins with what exists."""
    if opts.initial_events is not None:
        return opts.initial_events
    return opts.resource_version in ("", "0")


def _initial(one: Watch, snapshot: list[Entry], revision: int) -> Iterator[bytes]:
    """What exists, as ADDED events, and the bookmark that says that this was all."""
    match = one.match
    yield from _pieces(one.fresh_line(entry, ADDED) for entry in snapshot if match is None or match(entry.head))
    if one.opts.initial_events and one.opts.bookmarks:
        yield bookmark(one, revision, ends_initial=True)


def _missed(one: Watch, backlog: list[Change]) -> Iterator[bytes]:
    """What has happened since the revision that the watch begins at."""
    return _pieces(line_of(one, change) for change in backlog)


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines put together to pieces of a fair size."""
    piece, size = [], 0
    for line in lines:
        piece.append(line)
        size += len(line)
        if size >= PIECE:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)


class CacheStream:
    """The lines of a watch that the cache reaches back far enough for.

    Once its client has got what was there and sleeps, a `Fanout` sends for it (`relay`): that spares a task's turn for
    every event and watcher. A client that does not keep up gets the rest from `__anext__`, with its back-pressure.
    """

    def __init__(self, one: Watch, start: int) -> None:
        self._one = one
        collection = one.scope.keep
        #: Queues what no fan-out sends.
        self._watcher: Watcher = collection.watch(one.prefix, one.demand)
        # Nothing is awaited between these: the stream goes on exactly where the snapshot ends.
        initial = sends_initial(one.opts)
        snapshot = list(collection.range(one.prefix)) if initial else []
        backlog = collection.since(start, one.prefix) if start and not initial else []
        #: What the client has seen, or will have when the first chunks are sent.
        self._revision = max(collection.shown_at(one.ctx.cache.revision), start)
        self._first = self._first_chunks(snapshot, backlog)
        self._due = False
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._bookmark_at = one.ctx.clock.monotonic() + BOOKMARK
        one.ctx.metrics.watches.add(one.counted)
        self._closed = False
        self.sink: Sink | None = None
        self._fanout: Fanout | None = None

    def __aiter__(self) -> CacheStream:
        return self

    async def __anext__(self) -> bytes:
        if self._first is not None:
            chunk = next(self._first, None)
            if chunk is not None:
                return chunk
            self._first = None
        if self._over:
            raise StopAsyncIteration
        if self._timer is None:
            self._arm()
        while (chunk := self._at_once()) is None:
            self._join()
            await self._watcher.wait()
        return chunk

    def _at_once(self) -> bytes | None:
        """What is to be sent now, if anything. Raises `StopAsyncIteration` when the watch is cut."""
        if self._due and self._fanout is not None:
            # What a bookmark tells of has to be sent before it.
            self._fanout.flush()
        while self._watcher.queue:
            lines = self._drain()
            if lines:
                return b"".join(lines)
        if self._watcher.cut:
            raise StopAsyncIteration
        return self._beat() if self._due else None

    async def aclose(self) -> None:
        """Stop watching."""
        if self._closed:
            return
        self._closed = True
        one = self._one
        if self._fanout is not None:
            one.ctx.fanouts.leave(self._key(), self, self._fanout)
        one.scope.keep.unfollow(self._watcher)
        one.ctx.metrics.watches.add(one.counted, -1)
        if self._timer is not None:
            self._timer.cancel()

    def _first_chunks(self, snapshot: list[Entry], backlog: list[Change]) -> Iterator[bytes] | None:
        """What exists as ADDED events with the bookmark that ends them, or what has happened since."""
        one = self._one
        if backlog:
            return _missed(one, backlog)
        if sends_initial(one.opts):
            return _initial(one, snapshot, self._revision)
        return None

    def _drain(self) -> list[bytes]:
        lines: list[bytes] = []
        one, queue, size = self._one, self._watcher.queue, 0
        while queue and size < PIECE:
            change = queue.popleft()
            # A watch from the future is silent until that revision.
            if change.entry.revision > self._revision:
                self._revision = change.entry.revision
                line = line_of(one, change)
                if line:
                    lines.append(line)
                    size += len(line)
        if lines:
            self._count(len(lines))
        return lines

    def _count(self, events: int) -> None:
        self._one.ctx.metrics.watch_events.add(self._one.counted[1:4], events)

    # as a member of a fan-out

    def relay(self, sink: Sink) -> None:
        """Events may go to `sink` as they come, while somebody sleeps in `__anext__`."""
        self.sink = sink

    def left_behind(self, changes: list[Change]) -> None:
        """The client does not keep up: this waits for it."""
        one, fanout, self._fanout = self._one, self._fanout, None
        if self._closed or fanout is None:
            return
        one.ctx.fanouts.leave(self._key(), self, fanout)
        one.scope.keep.follow(self._watcher)
        self._watcher.queue.extend(changes)
        self._watcher.wake()

    def cut_off(self) -> None:
        """Changes were missed: the watch ends."""
        self._watcher.cut_off()

    def _join(self) -> None:
        """Let a fan-out send, where the client is at the present and the lines are the same as other watches'."""
        one = self._one
        if self.sink is None or self._fanout is not None or one.later is not None:
            return
        if self._revision > one.scope.keep.shown_at(one.ctx.cache.revision):
            return
        self._fanout = one.ctx.fanouts.join(self._key(), self, self._make)
        one.scope.keep.unfollow(self._watcher)

    def _make(self) -> Fanout:
        return Fanout(self._one.scope.keep, self._watcher, partial(line_of, self._one), self._count)

    def _key(self) -> Hashable:
        """What watches have in common whose lines are the same."""
        one = self._one
        return one.scope, one.prefix, one.form_key, str(one.selectors.label), str(one.selectors.field)

    # time

    def _arm(self) -> None:
        """Come back at the deadline, or to see whether the client is still there."""
        now = self._one.ctx.clock.monotonic()
        at = min(self._one.deadline, self._bookmark_at, now + HEARTBEAT)
        self._due = False
        self._timer = asyncio.get_running_loop().call_later(max(at - now, 0.0), self._fire)

    def _fire(self) -> None:
        self._due = True
        self._watcher.wake()

    def _beat(self) -> bytes:
        """A bookmark when it is time for one, else nothing: the server notices then that a client is gone."""
        one, now = self._one, self._one.ctx.clock.monotonic()
        self._revision = max(self._revision, one.scope.keep.shown_at(one.ctx.cache.revision))
        self._over = now >= one.deadline
        wanted = one.opts.bookmarks and (self._over or now >= self._bookmark_at)
        if now >= self._bookmark_at:
            self._bookmark_at = now + BOOKMARK
        self._arm()
        return bookmark(one, self._revision) if wanted else b""
