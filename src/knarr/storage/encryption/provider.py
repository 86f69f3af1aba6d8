"""What every way of encrypting values offers, and the error of all of them."""

from __future__ import annotations

from typing import Protocol

from knarr.storage.store import StoreError


class TransformError(StoreError):
    """A stored value cannot be read, or a new one not be encrypted."""


class Provider(Protocol):
    """One way to encrypt. What it writes begins with `prefix`, by which the right one is found again."""

    @property
    def prefix(self) -> bytes:
        """What its values begin with; empty for plain text."""
        ...

    @property
    def label(self) -> bytes:
        """What values written now begin with, as far as it tells them from values written before."""
        ...

    def seal(self, key: str, value: bytes) -> bytes:
        """The stored form, prefix and all; `key` is bound to it where the cipher can. Raises `TransformError`."""
        ...

    def open(self, key: str, stored: bytes) -> bytes:
        """The value again. Raises `TransformError`."""
        ...

    def label_of(self, stored: bytes) -> bytes:
        """The `label` of the time when a value was written."""
        ...


class Identity:
    """Plain text."""

    prefix = b""
    label = b""

    def seal(self, _key: str, value: bytes) -> bytes:
        """As it is."""
        return value

    def open(self, key: str, stored: bytes) -> bytes:
        """As it is, unless it is encrypted. Raises `TransformError`."""
        if stored.startswith(b"k8s:enc:"):
            raise TransformError(f'unable to transform key "{key}": identity transformer tried to read encrypted data')
        return stored

    def label_of(self, _stored: bytes) -> bytes:
        """Always the same."""
        return b""
