"""Configuration files of the API server: read strictly, and followed while the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from knarr.apimachinery.types import Object
from knarr.component_base import logs
from knarr.component_base.clock import Clock

GROUP = "apiserver.config.k8s.io"
#: Seconds between looks at a file. Editors replace files, mounts swap links: looking at the content finds every change.
_PERIOD = 2.0
_log = logs.get("configuration")


def load(path: Path, kind: str, versions: Collection[str]) -> Object:
    """The object of this kind in a YAML file. Raises `ValueError`, `OSError`."""
    return parse(path.read_text(), kind, versions)


def parse(text: str, kind: str, versions: Collection[str]) -> Object:
    """The object of this kind in YAML. Raises `ValueError`."""
    import yaml

    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    if not isinstance(found, dict) or found.get("kind") != kind:
        raise ValueError(f"{kind} is wanted")
    if found.get("apiVersion") not in {f"{GROUP}/{version}" for version in versions}:
        raise ValueError(f"no kind {kind!r} is registered for version {found.get('apiVersion')!r}")
    return found


def known(part: Any, path: str, fields: Collection[str]) -> Object:
    """An object with no other fields than these; None is an empty one. Raises `ValueError`."""
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise ValueError(f"{path or 'the document'}: an object is wanted")
    strange = sorted(set(map(str, part)) - set(fields))
    if strange:
        raise ValueError(f'strict decoding error: unknown field "{path + "." if path else ""}{strange[0]}"')
    return part


def items(part: Any, path: str) -> list[Any]:
    """A list; None is an empty one. Raises `ValueError`."""
    if part is None:
        return []
    if not isinstance(part, list):
        raise ValueError(f"{path}: a list is wanted")
    return part


async def follow(path: Path, use: Callable[[], None], clock: Clock) -> None:
    """Call `use` whenever the file's content changes, for ever. Its `ValueError` and `OSError` are logged."""
    seen = await asyncio.to_thread(_content, path)
    while True:
        await clock.sleep(_PERIOD)
        content = await asyncio.to_thread(_content, path)
        if content == seen or content is None:
            continue
        seen = content
        try:
            use()
        except (ValueError, OSError) as error:
            _log.error("configuration not taken over", path=path, error=error)
        else:
            _log.info("configuration taken over", path=path)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
