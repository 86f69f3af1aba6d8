"""How HTTP/1.1 answers look on the wire, and what queries and certificates say."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from knarr.component_base.http import Request, Response
from knarr.component_base.http_limits import MAX_PARAMETERS

#: Statuses whose answers have no body.
BODILESS = frozenset({101, 204, 304})
_REASONS = {
    101: b"Switching Protocols",
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    204: b"No Content",
    301: b"Moved Permanently",
    302: b"Found",
    304: b"Not Modified",
    307: b"Temporary Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    406: b"Not Acceptable",
    408: b"Request Timeout",
    409: b"Conflict",
    410: b"Gone",
    413: b"Request Entity Too Large",
    415: b"Unsupported Media Type",
    417: b"Expectation Failed",
    422: b"Unprocessable Entity",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}

#: The header that is another one in each answer: it is not worth remembering.
_FRESH = "Audit-Id"

#: The object identifier of a user's uid, by which Kubernetes knows it.
_UID = "1.3.6.1.4.1.57683.2"


def answer_head(response: Response, length: int | None, *, keep: bool, chunked: bool = False) -> bytes:
    """Status line and headers. `length` (bytes) is left out where the headers tell it already."""
    headers = response.headers
    given = tuple([pair for pair in headers.items() if pair[0] != _FRESH])
    head = _head(response.status, response.content_type, (*given, *response.repeated) if response.repeated else given)
    if _FRESH in headers:
        head += f"{_FRESH}: {headers[_FRESH]}\r\n".encode("latin-1", "replace")
    if chunked:
        head += b"Transfer-Encoding: chunked\r\n"
    elif length is not None and "Content-Length" not in headers:
        head += b"Content-Length: %d\r\n" % length
    return head + (b"\r\n" if keep else b"Connection: close\r\n\r\n")


def lasting_head(response: Response) -> bytes:
    """Status line and those headers that another answer of the kind has too: without id and length."""
    pairs = [pair for pair in response.headers.items() if pair[0] != _FRESH]
    return _head(response.status, response.content_type, (*pairs, *response.repeated))


# Most answers have the same few headers.
@lru_cache(maxsize=256)
def _head(status: int, content_type: str, headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b""))]
    lines += [f"{name}: {value}".encode("latin-1", "replace") for name, value in headers]
    if content_type and status not in BODILESS:
        lines.append(b"Content-Type: " + content_type.encode("latin-1"))
    return b"\r\n".join(lines) + b"\r\n"


def parse_query(request: Request) -> None:
    """Fill in a request's query parameters. Raises `ValueError` for too many of them."""
    pairs = parse_qsl(request.raw_query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    request.query = dict(reversed(pairs))
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    request.query_lists = lists


def identity(certificate: Any) -> tuple[str, tuple[str, ...]] | None:
    """Common name and organizations of a verified client certificate as the ssl module gives it."""
    if not certificate:
        return None
    name = ""
    organizations = []
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                organizations.append(value)
    return (name, tuple(organizations)) if name else None


def subject_uids(certificate: Any) -> tuple[str, ...]:
    """The uids in the subject of a client certificate as the ssl module gives it."""
    return tuple(value for part in certificate.get("subject", ()) for key, value in part if key == _UID)
