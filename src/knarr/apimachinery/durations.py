"""Durations as Go writes them: `1h15m30.5s`.

Source of the rules: time.ParseDuration.
"""

from __future__ import annotations

import re

from knarr.apimachinery.field import quote

_SECONDS = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]*)(\.[0-9]*)?([^0-9.]*)", re.ASCII)
#: Beyond this Go's nanoseconds overflow.
_LONGEST = 9223372036.854775807


def parse(text: str) -> float:
    """Seconds. Raises `ValueError` with Go's words."""
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0.0
    total, at = 0.0, 0
    while at < len(rest):
        found = _PART.match(rest, at)
        whole, fraction, unit = found.groups() if found else ("", None, "")
        if not (whole or (fraction and len(fraction) > 1)):
            break
        if not unit:
            raise ValueError(f"time: missing unit in duration {quote(text)}")
        if unit not in _SECONDS:
            raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        total += float((whole or "0") + (fraction or "")) * _SECONDS[unit]
        at = found.end() if found else at
    if not rest or at < len(rest) or total > _LONGEST:
        raise ValueError(f"time: invalid duration {quote(text)}")
    return sign * total
