"""What a container says about its end: the file it may write, or the end of its log.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

from __future__ import annotations

import os
from pathlib import Path

from knarr.apimachinery.types import Object
from knarr.kubelet.log_lines import LogOptions, Selection
from knarr.kubelet.logs import tail_start

_LONGEST = 4096
_LOG_LONGEST, _LOG_LINES = 2048, 80


def message_file(root: Path, uid: str, container: str, name: str) -> Path:
    """Make the file to mount at `terminationMessagePath`; `name` tells the starts of a container apart."""
    folder = root / "pods" / uid / "containers" / container
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    path = folder / name
    path.touch()
    # Whatever user the container runs as must be able to write.
    path.chmod(0o666)
    return path


def message(container: Object, file: Path | None, log: Path | None, *, failed: bool) -> str:
    """The message of the container's terminated state.

    `file` is what was mounted, `log` the container's log; `failed`: it ended with an error.
    """
    text = ""
    if file is not None and container.get("terminationMessagePath"):
        try:
            text = _end(file, _LONGEST)
        except OSError as error:
            return f"Error on reading termination log {file}: {error.strerror}"
    if not text and failed and log is not None and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        text = _end_of_log(log)
    return text


def _end(path: Path, longest: int) -> str:
    """The last bytes of a file. Refuses links: the container could make us read any file of the node."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - longest, 0))
        return stream.read(longest).decode(errors="replace")


def _end_of_log(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(tail_start(stream, _LOG_LINES))
            # A line's own stamp and stream take some of what is read; the lines are bounded, what is read need not be.
            lines = stream.read().split(b"\n")
    except OSError as error:
        return f"Error on reading termination message from logs: {error.strerror}"
    data = Selection(LogOptions()).take(lines)
    return data[-_LOG_LONGEST:].decode(errors="replace")
