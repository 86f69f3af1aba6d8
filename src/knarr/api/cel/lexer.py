"""Tokens of an expression (https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_STRINGS = r'"""(?:[^\\]|\\.)*?"""' + r"|'''(?:[^\\]|\\.)*?'''" + r'|"(?:[^\\"\n\r]|\\.)*"' + r"|'(?:[^\\'\n\r]|\\.)*'"
_RAW = r'"""(?:.|\n)*?"""' + r"|'''(?:.|\n)*?'''" + r'|"[^"\n\r]*"' + r"|'[^'\n\r]*'"
_TOKEN = re.compile(
    r"(?P<space>(?:[ \t\r\n\f]|//[^\n]*)+)"
    rf"|(?P<raw>[bB]?[rR](?:{_RAW}))"
    rf"|(?P<text>[bB]?(?:{_STRINGS}))"
    r"|(?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<int>0x[0-9a-fA-F]+[uU]?|[0-9]+[uU]?)"
    r"|(?P<name>[_a-zA-Z][_a-zA-Z0-9]*)"
    r"|(?P<quoted>`[A-Za-z0-9_.\-/ ]+`)"
    r"|(?P<mark>==|!=|<=|>=|&&|\|\||[\[\]{}().,:?+\-*/%<>!])",
    re.DOTALL | re.ASCII,
)
#: No number of 64 bits is written longer, unless with zeros before it.
_LONGEST = 1000
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|X[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)", re.DOTALL)
_CHARS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"} | {c: c for c in "\"'\\?`"}


class SyntaxFault(Exception):
    """An expression that cannot be parsed; where, in characters."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at, self.message = at, message


@dataclass(frozen=True, slots=True)
class Token:
    """A token: `kind` is `text`, `bytes`, `float`, `int`, `uint`, `name`, `quoted`, `mark` or `end`."""

    kind: str
    at: int
    value: Any


def tokens(text: str) -> list[Token]:
    """All of an expression, ended by one of kind `end`. Raises `SyntaxFault`."""
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise SyntaxFault(at, f"Syntax error: token recognition error at: '{text[at]}'")
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(_token(kind, at, match[0]))
        at = match.end()
    return [*found, Token("end", len(text), "<EOF>")]


def _token(kind: str, at: int, text: str) -> Token:
    if kind in ("raw", "text"):
        return _string(at, text, raw=kind == "raw")
    if kind == "float":
        return Token("float", at, float(text))
    if kind == "int":
        digits = text.rstrip("uU")
        if len(digits) > _LONGEST:
            raise SyntaxFault(at, f"invalid {'int' if digits == text else 'uint'} literal")
        return Token("int" if digits == text else "uint", at, int(digits, 16 if digits.startswith("0x") else 10))
    return Token(kind, at, text[1:-1] if kind == "quoted" else text)


def _string(at: int, text: str, *, raw: bool) -> Token:
    start = next(place for place, char in enumerate(text) if char in "\"'")
    encoded = text[0] in "bB"
    quote = 3 if text[start : start + 3] in ('"""', "'''") and len(text) - start >= 6 else 1
    inner = (
        text[start + quote : -quote].replace("\r\n", "\n").replace("\r", "\n")
        if raw or quote == 3
        else (text[start + quote : -quote])
    )
    if encoded:
        return Token("bytes", at, inner.encode() if raw else _unescaped_bytes(at, inner))
    return Token("text", at, inner if raw else _unescaped(at, inner))


def _unescaped(at: int, text: str) -> str:
    return _ESCAPE.sub(lambda match: _char(at, match[1]), text) if "\\" in text else text


def _char(at: int, escape: str) -> str:
    if escape[0] in "xXuU" and len(escape) > 1:
        return _code(at, int(escape[1:], 16))
    if escape.isdigit() and len(escape) == 3:
        return chr(int(escape, 8))
    if escape not in _CHARS:
        raise SyntaxFault(at, "Syntax error: invalid escape sequence")
    return _CHARS[escape]


def _code(at: int, code: int) -> str:
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise SyntaxFault(at, "invalid unicode code point")
    return chr(code)


def _unescaped_bytes(at: int, text: str) -> bytes:
    parts, last = [], 0
    for match in _ESCAPE.finditer(text):
        parts += [text[last : match.start()].encode(), _byte(at, match[1])]
        last = match.end()
    return b"".join([*parts, text[last:].encode()])


def _byte(at: int, escape: str) -> bytes:
    if escape[0] in "uU" and len(escape) > 1:
        raise SyntaxFault(at, "Syntax error: \\u in bytes")
    if escape[0] in "xX" and len(escape) > 1:
        return bytes([int(escape[1:], 16)])
    if escape.isdigit() and len(escape) == 3:
        return bytes([int(escape, 8)])
    return _char(at, escape).encode()
