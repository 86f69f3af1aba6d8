"""Writes a volume's files so that a reader sees the old set or the new one, never a mixture.

The files lie in a folder named by the time; `..data` is a symbolic link to it, and what users see are links through
`..data`. An update makes a new folder and swaps `..data` by a rename.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from knarr.kubelet.volumes.payload import Payload, check

DATA = "..data"
_NEXT = "..data_tmp"


def write(target: Path, payload: Payload, now: datetime, own: Callable[[Path], None]) -> bool:
    """Make `target` hold exactly `payload`; False when it did already.

    `own` sets the owner of a folder that is about to be shown. Raises `PayloadError` and `OSError`.
    """
    payload = check(payload)
    old = _current(target)
    if old is not None and _holds(old, payload):
        _show(target, payload)
        _hide(target, payload)
        return False
    new = Path(tempfile.mkdtemp(prefix=now.strftime("..%Y_%m_%d_%H_%M_%S."), dir=target))
    try:
        new.chmod(0o755)
        _fill(new, payload)
        own(new)
        _swap(target, new)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    _show(target, payload)
    _hide(target, payload)
    _sweep(target, new)
    return True


def _current(target: Path) -> Path | None:
    try:
        folder = target / os.readlink(target / DATA)
    except FileNotFoundError:
        return None
    return folder if folder.is_dir() else None


def _holds(folder: Path, payload: Payload) -> bool:
    """Whether a folder has these files and no others."""
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    return present == set(payload) and all((folder / path).read_bytes() == file.data for path, file in payload.items())


def _fill(folder: Path, payload: Payload) -> None:
    for name, file in payload.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(file.data)
            os.fchmod(handle, stat.S_IMODE(file.mode))
            if file.user is not None:
                os.fchown(handle, file.user, -1)


def _swap(target: Path, new: Path) -> None:
    link = target / _NEXT
    link.unlink(missing_ok=True)
    link.symlink_to(new.name)
    link.replace(target / DATA)


def _heads(payload: Payload) -> set[str]:
    return {name.partition("/")[0] for name in payload}


def _visible(target: Path) -> Iterable[Path]:
    return (path for path in target.iterdir() if not path.name.startswith(".."))


def _show(target: Path, payload: Payload) -> None:
    for head in _heads(payload):
        link = target / head
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{head}")


def _hide(target: Path, payload: Payload) -> None:
    heads = _heads(payload)
    for path in _visible(target):
        if path.name not in heads and path.is_symlink():
            path.unlink()


def _sweep(target: Path, new: Path) -> None:
    """Remove the old folder, and those of a writer that was killed."""
    for path in target.iterdir():
        if path.name.startswith("..2") and path != new and not path.is_symlink():
            shutil.rmtree(path)
