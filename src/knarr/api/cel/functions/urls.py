"""URLs, read as Go's net/url reads them (https://pkg.go.dev/k8s.io/apiserver/pkg/cel/library#URLs)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.functions.registry import Library
from knarr.api.cel.work import spend
from knarr.apimachinery.field import quote

library = Library()
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]*):(.*)", re.DOTALL | re.ASCII)
_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}", re.DOTALL)
_HOST = re.compile(r"[^A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]")
_PORT = re.compile(r":[0-9]*", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9\-_.~$&+,/:;=@!'()*\[\]%]*")
#: Characters of paths that stand for themselves.
_PLAIN = "/$&+,:;=@~-_."


class URL(NamedTuple):
    """A URL as a value."""

    scheme: str
    host: str
    path: str
    query: str
    text: str

    @property
    def kind(self) -> str:
        """The name of its type."""
        return "kubernetes.URL"


def parse(text: str) -> URL:
    """An absolute URL, or a path. Raises `ValueError` in Go's words."""
    try:
        return _parse(text)
    except ValueError as error:
        raise ValueError(f"parse {quote(text)}: {error}") from None


def _parse(text: str) -> URL:
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in text):
        raise ValueError("net/url: invalid control character in URL")
    if not text:
        raise ValueError("empty url")
    scheme, rest = _scheme(text)
    rest, _, _ = rest.partition("#")
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if not scheme:
            raise ValueError("invalid URI for request")
        # What has no slashes is opaque.
        return URL(scheme, "", "", query, text)
    host = ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        host, rest = _host(authority.rpartition("@")[2]), slash + path
    _check_escapes(rest)
    return URL(scheme, host, rest, query, text)


def _scheme(text: str) -> tuple[str, str]:
    if text.startswith(":"):
        raise ValueError("missing protocol scheme")
    match = _SCHEME.fullmatch(text)
    if match is not None:
        return match[1].lower(), match[2]
    before, colon, _ = text.partition(":")
    if colon and "/" not in before and before[:1].isalpha() is False and before[:1].isdigit():
        raise ValueError("first path segment in URL cannot contain colon")
    return "", text


def _check_escapes(text: str) -> None:
    found = _ESCAPE.search(text)
    if found is not None:
        raise ValueError(f"invalid URL escape {quote(found[0])}")


def _host(text: str) -> str:
    if text.startswith("["):
        end = text.rfind("]")
        if end < 0:
            raise ValueError("missing ']' in host")
        port = text[end + 1 :]
    else:
        at = text.rfind(":")
        port = text[at:] if at >= 0 else ""
    if port and _PORT.fullmatch(port) is None:
        raise ValueError(f"invalid port {quote(port)} after host")
    bad = _HOST.search(text)
    if bad is not None:
        raise ValueError(f"invalid character {quote(bad[0])} in host name")
    _check_escapes(text)
    return unquote_to_bytes(text).decode(errors="replace")


@library.add("url", str)
def _url(text: str) -> URL:
    try:
        return parse(text)
    except ValueError as error:
        raise EvaluationError(f"URL parse error during conversion from string: {error}") from None


@library.add("isURL", str)
def _is_url(text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


@library.add("getScheme", URL)
def _get_scheme(url: URL) -> str:
    return url.scheme


@library.add("getHost", URL)
def _get_host(url: URL) -> str:
    return url.host


@library.add("getHostname", URL)
def _get_hostname(url: URL) -> str:
    name = url.host if _port(url.host) is None else url.host.rpartition(":")[0]
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name


def _port(host: str) -> str | None:
    before, colon, port = host.rpartition(":")
    if not colon or (host.startswith("[") and not before.endswith("]")):
        return None
    return port


@library.add("getPort", URL)
def _get_port(url: URL) -> str:
    return _port(url.host) or ""


@library.add("getEscapedPath", URL)
def _get_path(url: URL) -> str:
    if _PATH.fullmatch(url.path) is not None:
        return url.path
    return quote_from_bytes(unquote_to_bytes(url.path), safe=_PLAIN)


@library.add("getQuery", URL)
def _get_query(url: URL) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    spend(len(url.query))
    for pair in url.query.split("&"):
        key, _, value = pair.partition("=")
        if not pair or ";" in pair or _ESCAPE.search(pair) is not None:
            # Go leaves out what it cannot read.
            continue
        found.setdefault(_unescaped(key), []).append(_unescaped(value))
    return found


def _unescaped(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode(errors="replace")
