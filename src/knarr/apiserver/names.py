"""What a server invents: uids, and the random ends of generated names."""

from __future__ import annotations

import os
import uuid

#: Letters and digits that spell no words and cannot be mistaken for one another.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX = 5
_LONGEST = 63


def uid() -> str:
    """A random UUID."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


def suffix() -> str:
    """Five random characters."""
    # 27 does not divide 256; the bias is of no concern for names.
    return "".join(_ALPHABET[byte % 27] for byte in os.urandom(_SUFFIX))


def generated(base: str) -> str:
    """A name from `metadata.generateName`."""
    return base[: _LONGEST - _SUFFIX] + suffix()
