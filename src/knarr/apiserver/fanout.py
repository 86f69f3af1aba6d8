"""Watches of the same objects in the same form share their events: made, joined and framed once, then sent to each.

What happens for every event and watcher happens a lot: here it is a look at whether the client keeps up and a write,
once a piece. A client that lags behind leaves with what it has not been sent, and is waited for alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Protocol

from knarr.apiserver.watch_cache import Change, Collection, Watcher
from knarr.component_base.http import Sink, framed

#: Bytes of lines from which they are sent as a piece.
PIECE = 64 * 1024
#: Seconds between two pieces to one client, at least: encrypting and sending cost more than all else about an event.
PACE = 0.01
#: Watches that one `Fanout` serves: other work gets its turn in between.
_MOST = 128

#: Makes the line of a change; empty when it is not selected.
Line = Callable[[Change], bytes]
#: Counts so many sent events.
Count = Callable[[int], None]


class Member(Protocol):
    """A watch that sleeps, and lets a `Fanout` send for it."""

    sink: Sink | None

    def left_behind(self, changes: list[Change]) -> None:
        """The client does not keep up: this it has not been sent. The member is none any more."""
        ...

    def cut_off(self) -> None:
        """Changes were missed: the watch ends."""
        ...


class Fanout:
    """Sends the changes of one range of a collection to its members. A follower of the collection."""

    __slots__ = (
        "_collection",
        "_count",
        "_line",
        "_lines",
        "_members",
        "_pending",
        "_sent_at",
        "_soon",
        "demand",
        "prefix",
    )

    def __init__(self, collection: Collection, watcher: Watcher, line: Line, count: Count) -> None:
        """`watcher` is one that watches the same."""
        self.prefix, self.demand = watcher.prefix, watcher.demand
        self._collection = collection
        self._line, self._count = line, count
        #: In the order in which they came.
        self._members: dict[Member, None] = {}
        #: Selected changes that are not sent yet, and their lines.
        self._pending: deque[Change] = deque()
        self._lines: deque[bytes] = deque()
        #: Whether `_send` is about to run, and the loop's time when it last ran.
        self._soon = False
        self._sent_at = 0.0

    def __len__(self) -> int:
        return len(self._members)

    def join(self, member: Member) -> None:
        """Send for a member from now on. It has seen everything up to this moment."""
        self.flush()
        if not self._members:
            self._collection.follow(self)
        self._members[member] = None

    def leave(self, member: Member) -> None:
        """Send for a member no longer."""
        if member in self._members:
            del self._members[member]
            self._rest_if_empty()

    def _rest_if_empty(self) -> None:
        if not self._members:
            self._collection.unfollow(self)
            self._pending.clear()
            self._lines.clear()

    # as a follower of the collection

    def push(self, change: Change) -> None:
        """A change: the first one goes out at once, what comes within `PACE` of it as one piece."""
        line = self._line(change)
        if not line:
            return
        self._pending.append(change)
        self._lines.append(line)
        if not self._soon:
            self._soon = True
            loop = asyncio.get_running_loop()
            wait = self._sent_at + PACE - loop.time()
            if wait > 0:
                loop.call_later(wait, self._send)
            else:
                loop.call_soon(self._send)

    def cut_off(self) -> None:
        """Changes were missed."""
        members = list(self._members)
        self._members.clear()
        self._rest_if_empty()
        for member in members:
            member.cut_off()

    # sending

    def flush(self) -> None:
        """Send what waits."""
        while self._pending:
            self._send_piece()

    def _send(self) -> None:
        self._soon = False
        if not self._pending:
            return
        loop = asyncio.get_running_loop()
        self._sent_at = loop.time()
        self._send_piece()
        if self._pending:
            self._soon = True
            loop.call_soon(self._send)

    def _send_piece(self) -> None:
        pending, lines = self._pending, self._lines
        changes, piece, size = [], [], 0
        while pending and size < PIECE:
            changes.append(pending.popleft())
            line = lines.popleft()
            piece.append(line)
            size += len(line)
        data = framed(b"".join(piece))
        behind = []
        for member in self._members:
            sink = member.sink
            if sink is not None and sink.ready():
                sink.send(data)
            else:
                behind.append(member)
        self._count((len(self._members) - len(behind)) * len(changes))
        for member in behind:
            del self._members[member]
            # What waits behind this piece it has not been sent either.
            member.left_behind([*changes, *pending])
        self._rest_if_empty()


class Fanouts:
    """The fan-outs of a server, by what they are of."""

    def __init__(self) -> None:
        self._found: dict[Hashable, list[Fanout]] = {}

    def join(self, key: Hashable, member: Member, make: Callable[[], Fanout]) -> Fanout:
        """Let one of the fan-outs of what `key` stands for send for a member."""
        found = self._found.setdefault(key, [])
        fanout = next((each for each in found if len(each) < _MOST), None)
        if fanout is None:
            found.append(fanout := make())
        fanout.join(member)
        return fanout

    def leave(self, key: Hashable, member: Member, fanout: Fanout) -> None:
        """A member has left, or is to leave; what serves nobody any more is forgotten."""
        fanout.leave(member)
        found = self._found.get(key, [])
        if not len(fanout) and fanout in found:
            found.remove(fanout)
            if not found:
                del self._found[key]
