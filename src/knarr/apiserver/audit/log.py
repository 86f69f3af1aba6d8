"""The file that audit events are appended to, one JSON document a line, and its older parts.

A file that has reached its size is renamed after the time (`audit-2026-01-02T03-04-05.678.log`) and a new one is begun.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from knarr.apimachinery.types import Object
from knarr.component_base.clock import Clock

_TIME = "%Y-%m-%dT%H-%M-%S"


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is full (bytes; 0: never), and how many older ones are kept for how many days (0: without end)."""

    size: int = 0
    backups: int = 0
    days: int = 0


class AuditLog:
    """Appends events. `-` as the path is standard output."""

    def __init__(self, path: str, rotation: Rotation, clock: Clock) -> None:
        """Open the file. Raises `OSError`."""
        self._path = None if path == "-" else Path(path)
        self._rotation = rotation
        self._clock = clock
        self._handle, self._size = self._open()

    def write(self, event: Object) -> None:
        """Append an event. Raises `OSError`."""
        line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        limit = self._rotation.size
        if limit and self._size and self._size + len(line) > limit and self._path is not None:
            self._rotate(self._path)
        os.write(self._handle, line)
        self._size += len(line)

    def close(self) -> None:
        """Close the file."""
        if self._path is not None:
            os.close(self._handle)

    def _open(self) -> tuple[int, int]:
        if self._path is None:
            return 1, 0
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return handle, os.fstat(handle).st_size

    def _rotate(self, path: Path) -> None:
        now = self._clock.now().astimezone(UTC)
        os.close(self._handle)
        path.rename(path.with_name(f"{path.stem}-{now.strftime(_TIME)}.{now.microsecond // 1000:03d}{path.suffix}"))
        self._handle, self._size = self._open()
        for old in outdated(_backups(path), self._rotation, now):
            old.unlink(missing_ok=True)


def outdated(backups: list[tuple[datetime, Path]], rotation: Rotation, now: datetime) -> list[Path]:
    """Which older parts go: those beyond the number kept, and those too old."""
    newest_first = sorted(backups, reverse=True)
    too_many = newest_first[rotation.backups :] if rotation.backups else []
    oldest = now - timedelta(days=rotation.days)
    too_old = [each for each in newest_first if rotation.days and each[0] < oldest]
    return list(dict.fromkeys(path for _, path in [*too_many, *too_old]))


def _backups(path: Path) -> list[tuple[datetime, Path]]:
    found = []
    for other in path.parent.glob(f"{path.stem}-*{path.suffix}"):
        text = other.name[len(path.stem) + 1 : len(other.name) - len(path.suffix)]
        try:
            found.append((datetime.strptime(text, f"{_TIME}.%f").replace(tzinfo=UTC), other))
        except ValueError:
            # Somebody else's file.
            continue
    return found


#: What takes events.
Sink = Callable[[Object], None]
