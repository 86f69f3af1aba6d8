"""Credentials that the server renews while the node uses them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from knarr.component_base import logs
from knarr.kubelet.file_watch import FolderWatch

_log = logs.get("credentials")
#: Seconds after which the file is looked at even if nothing was heard of it.
_LOOK = 60.0


async def follow(path: Path, content: bytes, use: Callable[[], None]) -> None:
    """Call `use` whenever a file has changed, for ever; `content` is what is in use. What fails is tried again."""
    with FolderWatch(str(path.parent)) as folder:
        while True:
            try:
                found = path.read_bytes()
                if found != content:
                    use()
                    content = found
                    _log.info("renewed", file=path)
            except (OSError, ValueError) as error:
                _log.warning("not renewed", file=path, error=error)
            await folder.wait(_LOOK)
