"""Keeps containers' logs small: a log that has grown too large is moved away, older ones are compressed, the oldest go.

https://kubernetes.io/docs/concepts/cluster-administration/logging/#log-rotation
"""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.cri.runtime import CriError, RuntimeService

_log = logs.get("kubelet.log_rotation")
_COMPRESSED, _UNFINISHED = ".gz", ".tmp"
#: Seconds between two looks at the sizes.
_PERIOD = 10.0


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a log may take: `largest` bytes a file, `files` files with the current one."""

    largest: int = 10 * 1024 * 1024
    files: int = 5


@dataclass(slots=True, eq=False)
class LogRotator:
    """Rotates the logs of the running containers, which `running` gives as (container id, log)."""

    runtime: RuntimeService
    clock: Clock
    running: Callable[[], Iterable[tuple[str, Path]]]
    rotation: Rotation = Rotation()

    async def run(self) -> None:
        """Look at the sizes, for ever."""
        while True:
            await self.check()
            await self.clock.sleep(_PERIOD)

    async def check(self) -> None:
        """Rotate what is too large. A log that cannot be rotated is left for the next time."""
        for container_id, log in list(self.running()):
            try:
                if log.stat().st_size >= self.rotation.largest:
                    await self.rotate(container_id, log)
            except FileNotFoundError:
                continue  # nothing was written yet, or it was just removed
            except (CriError, OSError) as error:
                _log.warning("log not rotated", log=log, error=error)

    async def rotate(self, container_id: str, log: Path) -> None:
        """Move a log away and let the runtime begin a new one. Raises `CriError` and `OSError`."""
        older = self._tidy(log)
        for path in older:
            if path.suffix != _COMPRESSED:
                await asyncio.to_thread(compress, path)
        moved = log.with_name(f"{log.name}.{self.clock.now():%Y%m%d-%H%M%S}")
        log.rename(moved)
        try:
            await self.runtime.reopen_log(container_id)
        except BaseException:
            moved.rename(log)
            raise

    def _tidy(self, log: Path) -> list[Path]:
        """Remove what a compression left half done, and the oldest; gives the rest, oldest first."""
        rotated = sorted(log.parent.glob(f"{log.name}.*"))
        present = {path.name for path in rotated}
        unneeded = [p for p in rotated if p.suffix == _UNFINISHED or p.name + _COMPRESSED in present]
        kept = [path for path in rotated if path not in unneeded]
        # The current log is one of the files, the one that is about to be moved another.
        surplus = kept[: max(len(kept) - max(self.rotation.files - 2, 0), 0)]
        for path in [*unneeded, *surplus]:
            path.unlink(missing_ok=True)
        return kept[len(surplus) :]


def compress(path: Path) -> None:
    """Replace a file by its gzipped form."""
    unfinished = path.with_name(path.name + _UNFINISHED)
    with path.open("rb") as source, gzip.open(unfinished, "wb", 6) as target:
        shutil.copyfileobj(source, target)
    mode = path.stat().st_mode
    os.chmod(unfinished, mode & 0o7777)
    unfinished.rename(path.with_name(path.name + _COMPRESSED))
    path.unlink()
