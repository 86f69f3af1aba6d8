"""The lines of a container's log: `2026-01-02T03:04:05.123456789Z stdout F text`.

Input: lines as the runtime wrote them. Output: what a reader gets.
https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from knarr.apimachinery import timestamps

_NANOSECONDS = 9


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What is to be read: `tail` in lines, `limit` in bytes, `stream` `stdout`, `stderr` or empty for both."""

    follow: bool = False
    tail: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    limit: int | None = None
    stream: str = ""


def since(now: datetime, since_seconds: int | None, since_time: str | None) -> datetime | None:
    """The moment that `sinceSeconds` or `sinceTime` of PodLogOptions means."""
    if since_seconds is not None:
        return now - timedelta(seconds=since_seconds)
    return timestamps.parse_optional(since_time)


class Line(NamedTuple):
    """One line: its stamp as written, stream, whether it goes on in the next one, and its text without newline."""

    stamp: bytes
    stream: bytes
    partial: bool
    text: bytes


def parse(line: bytes) -> Line | None:
    """A line without its newline; None for what is none."""
    parts = line.split(b" ", 3)
    if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr"):
        return None
    tags = parts[2].split(b":")
    return Line(parts[0], parts[1], tags[0] == b"P", parts[3] if len(parts) == 4 else b"")


def full_stamp(stamp: bytes) -> bytes:
    """A stamp with all nine digits below the second."""
    date, point, rest = stamp.partition(b".")
    if not point:
        zone = len(date) - 1 if date.endswith(b"Z") else len(date) - 6
        return date[:zone] + b"." + b"0" * _NANOSECONDS + date[zone:]
    digits = len(rest) - len(rest.lstrip(b"0123456789"))
    return date + b"." + rest[:digits].ljust(_NANOSECONDS, b"0") + rest[digits:]


class Selection:
    """Turns lines into what a reader asked for, one call after the other."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._stream = options.stream.lower().encode()
        self._left = options.limit
        self._since = options.since
        self._begins = True  # the next line begins a line of the reader's

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self._left is not None and self._left <= 0

    def take(self, lines: Iterable[bytes]) -> bytes:
        """The bytes these lines give."""
        out = []
        for raw in lines:
            if (line := parse(raw)) is None or (self._stream and line.stream != self._stream) or self._early(line):
                continue
            if self._options.timestamps and self._begins:
                out += [full_stamp(line.stamp), b" "]
            out.append(line.text if line.partial else line.text + b"\n")
            self._begins = not line.partial
        return self._limited(b"".join(out))

    def _early(self, line: Line) -> bool:
        if self._since is None:
            return False
        try:
            early = timestamps.parse(line.stamp.decode()) < self._since
        except (ValueError, UnicodeDecodeError):
            return True
        if not early:
            self._since = None  # stamps only grow
        return early

    def _limited(self, data: bytes) -> bytes:
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return data
