"""The first line of a request: which methods and targets there are, and what is refused."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
#: A first line whose method only its syntax knows.
_ODD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) [^ \r\n]+ HTTP/1\.[01]\r?\n")
#: A known method that stands in for an unknown one while the parser is at work.
_STAND_IN = b"TRACE"


def split(url: bytes) -> tuple[str, str]:
    """Path (decoded) and raw query of a request's target. Raises `ValueError`."""
    path, _, query = url.partition(b"?")
    if not path.startswith(b"/"):
        absolute = _ABSOLUTE.match(path)
        if absolute is not None:
            path = path[absolute.end() :] or b"/"
        elif path != b"*":
            raise ValueError("invalid URI for request")
    if b"%" in path:
        if _BAD_ESCAPE.search(path):
            raise ValueError("invalid URL escape")
        path = unquote_to_bytes(path)
    return path.decode("utf-8", "replace"), query.decode("latin-1")


def stand_in(data: bytes) -> tuple[str, bytes] | None:
    """The method that the parser does not know, and the request with one that it knows; None for no request at all."""
    found = _ODD.match(data)
    if found is None:
        return None
    method = found[1]
    return method.decode(), _STAND_IN + data[len(method) :]
