"""KMS v2: values are encrypted with keys that a plugin at a unix socket has encrypted in turn.

The plugin encrypts a random seed; every value has a key of its own, derived from the seed and 32 random bytes that
stand before it. The seed is kept while the plugin names the same key of its own.
https://kubernetes.io/docs/tasks/administer-cluster/kms-provider/
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from knarr.storage.encryption.ciphers import AesGcm
from knarr.storage.encryption.kms_client import KmsClient
from knarr.storage.encryption.kms_messages import CODEC, KEY, SEED
from knarr.storage.encryption.provider import TransformError
from knarr.wire.messages import CodecError, Message

_INFO = 32
#: What the plugin may answer, in bytes.
_LONGEST_KEY_ID, _LONGEST_SOURCE = 1024, 1024


@dataclass(frozen=True, slots=True)
class _Seed:
    """A seed, and what is stored beside each value so that it can be had again."""

    secret: bytes
    key_id: str
    source: bytes
    annotations: tuple[tuple[str, bytes], ...]


class KmsProvider:
    """Encrypts with seeds that a plugin guards. `refresh` comes before the first value."""

    def __init__(self, name: str, client: KmsClient) -> None:
        self.prefix = b"k8s:enc:kms:v2:%b:" % name.encode()
        self.name = name
        self._client = client
        self._current: _Seed | None = None
        self._lapsed = False
        #: What values are opened with: encrypted source → secret, its kind.
        self._secrets: dict[bytes, tuple[bytes, int]] = {}

    @property
    def label(self) -> bytes:
        """Values of another key of the plugin are stale."""
        return self.prefix + (self._current.key_id.encode() if self._current else b"")

    async def refresh(self) -> None:
        """Ask the plugin how it is; begin a new seed when its key has changed. Raises `TransformError`."""
        status = await self._client.call("Status", "StatusRequest", {}, "StatusResponse")
        if status["healthz"] != "ok":
            raise TransformError(f"kms-provider-{self.name}: healthz is {status['healthz']!r}")
        if status["version"] not in ("v2", "v2beta1"):
            raise TransformError(f"kms-provider-{self.name}: version {status['version']!r} is not v2")
        if self._current is None or self._current.key_id != status["key_id"]:
            self._current = await self._begin()
        self._lapsed = False

    def lapse(self) -> None:
        """Write nothing more until the plugin answers again: its key may have been taken away. Reading goes on."""
        self._lapsed = True

    async def _begin(self) -> _Seed:
        secret = os.urandom(_INFO)
        request = {"plaintext": secret, "uid": os.urandom(8).hex()}
        answer = await self._client.call("Encrypt", "EncryptRequest", request, "EncryptResponse")
        source, key_id = answer["ciphertext"], answer["key_id"]
        if not 0 < len(source) <= _LONGEST_SOURCE or not 0 < len(key_id) <= _LONGEST_KEY_ID:
            raise TransformError(f"kms-provider-{self.name}: invalid answer: ciphertext or key ID is empty or too long")
        self._secrets[source] = secret, SEED
        return _Seed(secret, key_id, source, tuple((one["key"], one["value"]) for one in answer["annotations"]))

    def close(self) -> None:
        """Leave the plugin alone."""
        self._client.close()

    async def learn(self, stored: bytes) -> None:
        """Have the seed of a stored value decrypted unless it is known. Raises `TransformError`."""
        envelope = self._envelope("", stored)
        if envelope["source"] in self._secrets:
            return
        request = {
            "ciphertext": envelope["source"],
            "uid": os.urandom(8).hex(),
            "key_id": envelope["key_id"],
            "annotations": envelope["annotations"],
        }
        answer = await self._client.call("Decrypt", "DecryptRequest", request, "DecryptResponse")
        self._secrets[envelope["source"]] = answer["plaintext"], envelope["source_type"]

    def seal(self, key: str, value: bytes) -> bytes:
        """As `Provider`."""
        seed = self._current
        if seed is None:
            raise TransformError(f"kms-provider-{self.name}: the plugin has not answered yet")
        if self._lapsed:
            raise TransformError(f"kms-provider-{self.name}: the plugin has not answered for too long to use its key")
        info = os.urandom(_INFO)
        envelope = {
            "data": info + AesGcm(_derived(seed.secret, info)).seal(key, value),
            "key_id": seed.key_id,
            "source": seed.source,
            "annotations": [{"key": name, "value": text} for name, text in seed.annotations],
            "source_type": SEED,
        }
        return self.prefix + CODEC.encode("EncryptedObject", envelope)

    def open(self, key: str, stored: bytes) -> bytes:
        """As `Provider`, for values whose seed is known."""
        envelope = self._envelope(key, stored)
        found = self._secrets.get(envelope["source"])
        if found is None:
            raise TransformError(f'unable to transform key "{key}": its seed has not been decrypted yet')
        secret, kind = found
        data: bytes = envelope["data"]
        try:
            if kind == KEY:
                return AesGcm(secret).open(key, data)
            return AesGcm(_derived(secret, data[:_INFO])).open(key, data[_INFO:])
        except ValueError as error:
            raise TransformError(f'unable to transform key "{key}": {error}') from error

    def label_of(self, stored: bytes) -> bytes:
        """As `Provider`."""
        return self.prefix + str(self._envelope("", stored)["key_id"]).encode()

    def _envelope(self, key: str, stored: bytes) -> Message:
        try:
            return CODEC.decode("EncryptedObject", stored[len(self.prefix) :])
        except CodecError as error:
            raise TransformError(f'unable to transform key "{key}": {error}') from error


def _derived(seed: bytes, info: bytes) -> bytes:
    """The key of one value."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    return HKDFExpand(SHA256(), 32, info).derive(seed)
