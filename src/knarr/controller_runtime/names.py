"""Fresh names, as `generateName` makes them."""

from __future__ import annotations

import secrets

#: No vowels and no digits that look like letters, so that no word comes out.
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_LONGEST_BASE = 63 - 5


class RandomNames:
    """Suffixes from the system's random source."""

    def suffix(self) -> str:
        """Five random characters."""
        return "".join(secrets.choice(ALPHABET) for _ in range(5))


def generated(base: str, suffix: str) -> str:
    """A name that begins with `base` (shortened so that the whole is a label) and ends with the suffix."""
    return base[:_LONGEST_BASE] + suffix
