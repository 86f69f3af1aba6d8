"""The cluster's authorities and its signing key, shared by the servers of one datastore through the datastore itself.

The first server writes them under one key, the others take them from there. With a token they are encrypted (AES-GCM
under a key that scrypt makes of the token); without, whoever reads the datastore has them.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
from pathlib import Path

import orjson

from knarr.component_base import certificates, logs
from knarr.component_base.certificates import Authority
from knarr.storage.store import KeyExistsError, Store, StoreError

KEY = "/bootstrap/secrets"
#: Files in the `tls` directory that must be the same for every server.
NAMES = ("ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "service-account.key")
_SALT, _NONCE = 16, 12
_log = logs.get("server")


class SecretsError(Exception):
    """The datastore's secrets cannot be had; the text says what to do."""


async def share(store: Store, directory: Path, token: str, now: datetime.datetime) -> None:
    """Make the files in `directory` those of the datastore's cluster. Raises `SecretsError`, `StoreError`."""
    found = await store.get(KEY)
    if found is None:
        try:
            await store.create(KEY, seal(_make(directory, now), token))
            return
        except KeyExistsError:
            found = await store.get(KEY)
    if found is None:
        raise StoreError(f"{KEY} has vanished")
    for name, content in unseal(found.value, token).items():
        path = directory / name
        if not path.exists() or path.read_bytes() != content:
            _log.info("taking from the datastore", file=name)
            certificates.write_private(path, content)


def seal(files: dict[str, bytes], token: str) -> bytes:
    """The stored form of files."""
    data = orjson.dumps({name: content.decode() for name, content in files.items()})
    if not token:
        return b'{"files":%b}' % data
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    sealed = AESGCM(_key(token, salt)).encrypt(nonce, data, KEY.encode())
    return orjson.dumps({"encrypted": base64.b64encode(salt + nonce + sealed).decode()})


def unseal(value: bytes, token: str) -> dict[str, bytes]:
    """The files of a stored form. Raises `SecretsError` for the wrong token."""
    stored = orjson.loads(value)
    if "encrypted" in stored:
        stored["files"] = _decrypt(base64.b64decode(stored["encrypted"]), token)
    return {name: text.encode() for name, text in stored["files"].items() if name in NAMES}


def _decrypt(data: bytes, token: str) -> dict[str, str]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if not token:
        raise SecretsError("the datastore's cluster has a token: give it by --token or --token-file")
    salt, nonce, sealed = data[:_SALT], data[_SALT : _SALT + _NONCE], data[_SALT + _NONCE :]
    try:
        files: dict[str, str] = orjson.loads(AESGCM(_key(token, salt)).decrypt(nonce, sealed, KEY.encode()))
    except InvalidTag as error:
        raise SecretsError("the datastore's cluster has another token than the one given") from error
    return files


def _key(token: str, salt: bytes) -> bytes:
    return hashlib.scrypt(token.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)


def _make(directory: Path, now: datetime.datetime) -> dict[str, bytes]:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    Authority.load_or_create(directory, "ca", now)
    Authority.load_or_create(directory, "front-proxy-ca", now)
    certificates.signing_key(directory)
    return {name: (directory / name).read_bytes() for name in NAMES}
