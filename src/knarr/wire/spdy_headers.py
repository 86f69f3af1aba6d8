"""SPDY/3 name/value blocks, compressed with zlib and the protocol's own dictionary.

Source: SPDY protocol draft 3.1, sections 2.6.10 and 2.6.10.1. The zlib streams run through a whole connection.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

#: Names in lower case, each with its values.
Headers: TypeAlias = Mapping[str, Sequence[str]]

#: Bytes of one decompressed block that are accepted.
MAX_BLOCK = 1 << 20

_SINGLE_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_WORDS = [
    *_SINGLE_WORDS.split(),
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
]
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.encode() for word in _WORDS) + _TAIL.encode()
_LENGTH = struct.Struct(">I")


class HeaderError(Exception):
    """A block that cannot be decoded. The compression state is lost with it, and so is the connection."""


class Compressor:
    """Encodes the blocks that one side sends."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(zdict=DICTIONARY)

    def encode(self, headers: Headers) -> bytes:
        """One block."""
        block = [_LENGTH.pack(len(headers))]
        for name, values in headers.items():
            for part in (name.lower().encode(), "\0".join(values).encode()):
                block += (_LENGTH.pack(len(part)), part)
        return self._zlib.compress(b"".join(block)) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


class Decompressor:
    """Decodes the blocks that the other side sends."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zdict=DICTIONARY)

    def decode(self, block: bytes) -> dict[str, tuple[str, ...]]:
        """One block. Raises `HeaderError`."""
        try:
            plain = self._zlib.decompress(block, MAX_BLOCK)
        except zlib.error as error:
            raise HeaderError(f"headers cannot be decompressed: {error}") from error
        if self._zlib.unconsumed_tail:
            raise HeaderError("headers are too large")
        try:
            return _pairs(_strings(plain))
        except (struct.error, ValueError) as error:
            raise HeaderError(f"malformed headers: {error}") from error


def _strings(plain: bytes) -> list[str]:
    (count,) = _LENGTH.unpack_from(plain)
    offset = _LENGTH.size
    out = []
    for _ in range(2 * count):
        (length,) = _LENGTH.unpack_from(plain, offset)
        offset += _LENGTH.size
        if offset + length > len(plain):
            raise ValueError("a string is cut off")
        out.append(plain[offset : offset + length].decode())
        offset += length
    if offset != len(plain):
        raise ValueError("bytes follow the last pair")
    return out


def _pairs(strings: Sequence[str]) -> dict[str, tuple[str, ...]]:
    out: dict[str, tuple[str, ...]] = {}
    for name, value in _by_two(strings):
        if not name or name in out or name != name.lower():
            raise ValueError(f"invalid name {name!r}")
        out[name] = tuple(value.split("\0"))
    return out


def _by_two(strings: Sequence[str]) -> Iterable[tuple[str, str]]:
    return zip(strings[::2], strings[1::2], strict=True)
