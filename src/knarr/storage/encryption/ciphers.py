"""Encryption with keys from the configuration: AES-CBC, AES-GCM, and XSalsa20 with Poly1305 (`secretbox`).

A value looks like `k8s:enc:aescbc:v1:KEYNAME:` and then the bytes of the cipher.
https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#providers
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from knarr.storage.encryption.provider import TransformError

_BLOCK = 16
_NONCE = 12


class Cipher(Protocol):
    """Encrypts bytes with one key. `open` raises `ValueError` for what it has not sealed."""

    def seal(self, key: str, value: bytes) -> bytes:
        """The encrypted bytes."""
        ...

    def open(self, key: str, data: bytes) -> bytes:
        """The plain bytes."""
        ...


class AesCbc:
    """AES in CBC mode with PKCS #7 padding: a random block first. Nothing tells whether it was tampered with."""

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.algorithms import AES

        self._algorithm = AES(secret)

    def seal(self, _key: str, value: bytes) -> bytes:
        """The first block and the padded text."""
        from cryptography.hazmat.primitives.ciphers import Cipher as Ciphering
        from cryptography.hazmat.primitives.ciphers.modes import CBC

        first = os.urandom(_BLOCK)
        missing = _BLOCK - len(value) % _BLOCK
        encryptor = Ciphering(self._algorithm, CBC(first)).encryptor()
        return first + encryptor.update(value + bytes([missing]) * missing) + encryptor.finalize()

    def open(self, _key: str, data: bytes) -> bytes:
        """As `Cipher`."""
        from cryptography.hazmat.primitives.ciphers import Cipher as Ciphering
        from cryptography.hazmat.primitives.ciphers.modes import CBC

        if len(data) < 2 * _BLOCK or len(data) % _BLOCK:
            raise ValueError("the stored data is not a multiple of the block size")
        decryptor = Ciphering(self._algorithm, CBC(data[:_BLOCK])).decryptor()
        padded = decryptor.update(data[_BLOCK:]) + decryptor.finalize()
        missing = padded[-1]
        if not 0 < missing <= _BLOCK or padded[-missing:] != bytes([missing]) * missing:
            raise ValueError("invalid padding on input")
        return padded[:-missing]


class AesGcm:
    """AES in GCM mode: a random nonce first; the key in the store is bound to the value."""

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aead = AESGCM(secret)

    def seal(self, key: str, value: bytes) -> bytes:
        """The nonce, the text and its tag."""
        nonce = os.urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, value, key.encode())

    def open(self, key: str, data: bytes) -> bytes:
        """As `Cipher`."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._aead.decrypt(data[:_NONCE], data[_NONCE:], key.encode())
        except (InvalidTag, ValueError) as error:
            raise ValueError("cipher: message authentication failed") from error


class Secretbox:
    """XSalsa20 and Poly1305, as NaCl's `secretbox`: a random nonce first."""

    def __init__(self, secret: bytes) -> None:
        from nacl.secret import SecretBox

        self._box = SecretBox(secret)

    def seal(self, _key: str, value: bytes) -> bytes:
        """The nonce and the box."""
        return bytes(self._box.encrypt(value))

    def open(self, _key: str, data: bytes) -> bytes:
        """As `Cipher`."""
        from nacl.exceptions import CryptoError

        try:
            return self._box.decrypt(data)
        except (CryptoError, ValueError) as error:
            raise ValueError("output array was not large enough for encryption") from error


#: Name in the configuration: how it is made of a key, and the lengths of key it takes, in bytes.
CIPHERS: dict[str, tuple[Callable[[bytes], Cipher], tuple[int, ...]]] = {
    "aescbc": (AesCbc, (16, 24, 32)),
    "aesgcm": (AesGcm, (16, 24, 32)),
    "secretbox": (Secretbox, (32,)),
}


class KeyProvider:
    """A cipher with one named key."""

    def __init__(self, kind: str, name: str, secret: bytes) -> None:
        self.prefix = b"k8s:enc:%b:v1:%b:" % (kind.encode(), name.encode())
        self.label = self.prefix
        self._cipher = CIPHERS[kind][0](secret)

    def seal(self, key: str, value: bytes) -> bytes:
        """As `Provider`."""
        return self.prefix + self._cipher.seal(key, value)

    def open(self, key: str, stored: bytes) -> bytes:
        """As `Provider`."""
        try:
            return self._cipher.open(key, stored[len(self.prefix) :])
        except ValueError as error:
            raise TransformError(f'unable to transform key "{key}": {error}') from error

    def label_of(self, _stored: bytes) -> bytes:
        """As `Provider`."""
        return self.prefix
