"""Continue tokens: where the next page of a list begins, and at which revision.

Source of the format: k8s.io/apiserver/pkg/storage/continue.go.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

import orjson

from knarr.api.codec import json_text
from knarr.apimachinery.errors import bad_request

_VERSION = "meta.k8s.io/v1"
_OUTSIDE = re.compile(r"[^A-Za-z0-9_-]")


class Position(NamedTuple):
    """The key behind which a page begins (below the collection's prefix), and the list's revision (-1: the newest)."""

    after: str
    revision: int


def encode(after: str, revision: int) -> str:
    """The token of the page behind a key."""
    content = orjson.dumps({"v": _VERSION, "rv": revision, "start": after + "\0"})
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decode(token: str) -> Position:
    """What a token says. Raises `StatusError` 400."""
    wrong = _OUTSIDE.search(token)
    if wrong is not None or len(token) % 4 == 1:
        at = wrong.start() if wrong is not None else len(token) // 4 * 4
        raise _invalid(f"illegal base64 data at input byte {at}")
    try:
        found = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise _invalid(_json_error(token)) from error
    if not isinstance(found, dict) or found.get("v") != _VERSION:
        version = found.get("v", "") if isinstance(found, dict) else ""
        raise _invalid(f'server does not recognize this encoded version "{version}"')
    start, revision = str(found.get("start") or ""), int(found.get("rv") or 0)
    if not revision:
        raise _invalid("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not start:
        raise _invalid("encoded start key empty (version meta.k8s.io/v1)")
    if ".." in start.split("/"):
        raise _invalid(f"{start}")
    # Where the token of another implementation names the first key of the page, that key belongs to it.
    return Position(start[:-1] if start.endswith("\0") else _before(start), revision)


def _before(key: str) -> str:
    """A text right before `key` in the order of keys."""
    return key[:-1] + chr(ord(key[-1]) - 1) + "\U0010ffff" if ord(key[-1]) > 1 else key[:-1]


def _invalid(why: str) -> Exception:
    return bad_request(f"invalid continue token: continue key is not valid: {why}")


def _json_error(token: str) -> str:
    return json_text.syntax_error(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("utf-8", "replace"))
