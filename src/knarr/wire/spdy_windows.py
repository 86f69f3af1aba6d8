"""SPDY/3.1 flow control: how much each side may still send, on each stream and on the whole connection (stream 0)."""

from __future__ import annotations

#: Bytes that may be sent on a stream or connection before the receiver has said anything.
INITIAL = 64 * 1024
#: No window may pass this.
LARGEST = (1 << 31) - 1
SESSION = 0


class Windows:
    """The windows of one connection. Switched off, everything may be sent and nothing is reported."""

    def __init__(self, *, on: bool) -> None:
        self.on = on
        self._initial = INITIAL
        self._room = {SESSION: INITIAL}
        self._taken = {SESSION: 0}

    def open(self, stream: int) -> None:
        """A stream begins."""
        self._room[stream] = self._initial
        self._taken[stream] = 0

    def close(self, stream: int) -> None:
        """A stream is over."""
        self._room.pop(stream, None)
        self._taken.pop(stream, None)

    def room(self, stream: int) -> int:
        """Bytes that may be sent on a stream now."""
        if not self.on:
            return LARGEST
        return max(0, min(self._room[SESSION], self._room.get(stream, 0)))

    def sent(self, stream: int, size: int) -> None:
        """Bytes were sent."""
        self._room[SESSION] -= size
        self._room[stream] -= size

    def grow(self, stream: int, size: int) -> bool:
        """The peer takes so many bytes more; False when that passes the largest window."""
        if stream in self._room:
            self._room[stream] += size
            return self._room[stream] <= LARGEST
        return True

    def initial(self, size: int) -> None:
        """The peer sets the window of its streams, open ones too; they may become negative."""
        for stream in self._room:
            if stream != SESSION:
                self._room[stream] += size - self._initial
        self._initial = size

    def received(self, stream: int, size: int) -> list[tuple[int, int]]:
        """Bytes came in: the window updates (stream, bytes) to send, made once half a window is used up."""
        if not self.on:
            return []
        updates = []
        for window in (SESSION, stream):
            if window in self._taken:
                self._taken[window] += size
                if self._taken[window] >= INITIAL // 2:
                    updates.append((window, self._taken[window]))
                    self._taken[window] = 0
        return updates
