"""Which credentials an image on this node was pulled with, so that a pod without them does not get it for nothing.

An image that was not pulled by this node (imported, preloaded) is anybody's.
https://kubernetes.io/docs/concepts/containers/images/#ensureimagepullcredentialverification
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TypeAlias

import orjson

from knarr.kubelet.credentials import Credential

#: Image id → repository → who may use it: keys of credentials and secrets; None for everybody.
_Records: TypeAlias = dict[str, dict[str, list[str] | None]]


def credential_key(credential: Credential) -> str:
    """Names a credential without telling it."""
    text = orjson.dumps([credential.username, credential.password])
    return "sha256:" + hashlib.sha256(text).hexdigest()


class PullRecords:
    """The file that keeps the records; without a path they last as long as the process. Raises `OSError`."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._records: _Records = orjson.loads(path.read_bytes()) if path is not None and path.exists() else {}

    def open_to_all(self, image_id: str, repository: str) -> bool:
        """Whether no credentials are needed."""
        record = self._records.get(image_id)
        return record is None or (repository in record and record[repository] is None)

    def allows(self, image_id: str, repository: str, keys: Iterable[str]) -> bool:
        """Whether one of these keys is among those the image was pulled with under this name."""
        if self.open_to_all(image_id, repository):
            return True
        known = self._records[image_id].get(repository) or ()
        return any(key in known for key in keys)

    def pulled(self, image_id: str, repository: str, keys: Collection[str]) -> None:
        """A pull has succeeded with what these keys stand for; without keys anybody could have done it."""
        record = self._records.setdefault(image_id, {})
        if not keys:
            changed = record.get(repository, []) is not None
            record[repository] = None
        elif record.get(repository, []) is None:
            return
        else:
            known = record.get(repository) or []
            changed = not set(keys) <= set(known)
            record[repository] = [*known, *(key for key in keys if key not in known)]
        if changed:
            self._write()

    def forget(self, image_id: str) -> None:
        """The image is gone."""
        if self._records.pop(image_id, None) is not None:
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(orjson.dumps(self._records))
        temporary.replace(self._path)
