"""What a server invents: uids, and the random ends of generated names."""

from __future__ import annotations

import os
from collections.abc import Iterator

#: Letters and digits that spell no words and cannot be mistaken for one another.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX = 5
_LONGEST = 63


_UID_BYTES = 16
#: UUIDs' worth of randomness that is asked of the system at once: a call for each would cost more than all the rest.
_AHEAD = 64


def uid() -> str:
    """A random UUID (RFC 9562, version 4)."""
    if not _uids:
        digits = os.urandom(_UID_BYTES * _AHEAD).hex()
        _uids.extend(_uid(digits[at : at + 2 * _UID_BYTES]) for at in range(0, len(digits), 2 * _UID_BYTES))
    return _uids.pop()


#: Made ahead.
_uids: list[str] = []


def _uid(digits: str) -> str:
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def suffix() -> str:
    """Five random characters."""
    return next(_suffixes)


def _make_suffixes() -> Iterator[str]:
    while True:
        # 27 does not divide 256; the bias is of no concern for names.
        text = os.urandom(_SUFFIX * _AHEAD).translate(_LETTERS).decode()
        for at in range(0, len(text), _SUFFIX):
            yield text[at : at + _SUFFIX]


_LETTERS = bytes(_ALPHABET.encode()[byte % len(_ALPHABET)] for byte in range(256))
_suffixes = _make_suffixes()


def generated(base: str) -> str:
    """A name from `metadata.generateName`."""
    return base[: _LONGEST - _SUFFIX] + suffix()
