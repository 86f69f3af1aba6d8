"""Cuts a stream of chunks into lines."""

from __future__ import annotations

from collections.abc import Iterator


class Lines:
    """Gives the whole lines of what it is fed, without their newline, and keeps the rest for the next chunk."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that this chunk completes; empty ones are left out."""
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            self._rest.append(chunk)
            return
        if self._rest:
            head = b"".join((*self._rest, head))
        self._rest = [tail] if tail else []
        for line in head.split(b"\n"):
            if line:
                yield line
