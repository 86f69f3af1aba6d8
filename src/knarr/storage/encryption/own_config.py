"""The configuration that `knarr secrets-encrypt` keeps: Secrets, one kind of key, `identity` before or behind it.

Pure but for `write`. A configuration is the document of an `EncryptionConfiguration`; its order of providers says what
new values are written with, and what old ones may still be read with.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import orjson

from knarr.apimachinery.types import Object
from knarr.component_base import certificates

#: What K3s uses, with its names: authenticated, unlike AES-CBC.
_KIND = "secretbox"
_IDENTITY: Object = {"identity": {}}
_SIZE = 32


def enabled(old: Object | None) -> Object:
    """Encryption is on: with the key there is, or a new one."""
    keys = keys_of(old) or [_new_key(())]
    return _document([*map(_provider, keys), _IDENTITY])


def disabled(old: Object) -> Object:
    """Encryption is off: what was encrypted can still be read."""
    return _document([_IDENTITY, *map(_provider, keys_of(old))])


def rotating(old: Object) -> Object:
    """A new key writes, the others still read."""
    keys = keys_of(old)
    return _document([_provider(_new_key([key["name"] for key in keys])), *map(_provider, keys), _IDENTITY])


def rotated(old: Object) -> Object:
    """Only the first key is left."""
    return _document([*map(_provider, keys_of(old)[:1]), _IDENTITY])


def is_enabled(document: Object) -> bool:
    """Whether new Secrets are encrypted."""
    return "identity" not in _providers(document)[0]


def keys_of(document: Object | None) -> list[Object]:
    """The keys, the writing one first."""
    if document is None:
        return []
    return [key for one in _providers(document) for kind in one for key in (one[kind].get("keys") or ())]


def read(path: Path) -> Object:
    """The document in a file. Raises `OSError`, `ValueError`."""
    found: Any = orjson.loads(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError(f"{path}: an object is wanted")
    return found


def write(path: Path, document: Object) -> bytes:
    """Write it, readable for nobody else; gives the bytes."""
    content = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    certificates.write_private(path, content)
    return content


def _providers(document: Object) -> list[Object]:
    found: list[Object] = document["resources"][0]["providers"]
    return found


def _provider(key: Object) -> Object:
    return {_KIND: {"keys": [key]}}


def _new_key(taken: list[str] | tuple[()]) -> Object:
    number = 1 + max((int(name.removeprefix("key")) for name in taken), default=0)
    return {"name": f"key{number}", "secret": base64.b64encode(os.urandom(_SIZE)).decode()}


def _document(providers: list[Object]) -> Object:
    return {
        "kind": "EncryptionConfiguration",
        "apiVersion": "apiserver.config.k8s.io/v1",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
