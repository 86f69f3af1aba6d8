"""JSON as Go's decoder reads it: every pair of an object is seen, and a syntax error has Go's text.

Input: the bytes of a body. Output: Python values in which an object is a `Pairs`, a number with a point or an exponent
a `Real` that knows its text. The quick way for correct JSON without repeated names is `orjson`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from knarr.apimachinery.field import quote

#: What Go says of a text whose brackets are nested more deeply than it follows.
TOO_DEEP = "exceeded max depth"
#: Characters up to which a syntax error is told in Go's words: finding them takes a microsecond a character.
_LONGEST = 256 * 1024


class Pairs(list[tuple[str, Any]]):
    """The members of an object in order, repeated names included."""


class Real(float):
    """A number that is not written as an integer; `text` is how it is written."""

    text: str


def parse(data: bytes) -> Any:
    """The value of a JSON text. Raises `ValueError` with Go's words for a syntax error."""
    text = data.decode("utf-8", "replace")
    try:
        value = json.loads(text, object_pairs_hook=Pairs, parse_float=_real, parse_constant=_no_constant)
        return _mended(value) if _SURROGATE.search(text) else value
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    except ValueError as fault:
        raise ValueError(syntax_error(text) or str(fault)) from None


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _real(text: str) -> Real:
    number = Real(text)
    number.text = text
    return number


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _mended(value: Any) -> Any:
    """Half a surrogate pair is no character: Go puts U+FFFD in its place."""
    if isinstance(value, Pairs):
        return Pairs((_mended(key), _mended(item)) for key, item in value)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def plain(value: Any) -> Any:
    """The value with ordinary dicts, lists and numbers. Raises `ValueError` for one that is nested too deeply."""
    try:
        return _plain(value)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None


def _plain(value: Any) -> Any:
    if isinstance(value, Pairs):
        return {key: _plain(item) for key, item in value}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, Real) else value


def syntax_error(text: str) -> str:
    """What Go says of the first syntax error; empty when there is none, or the text is too long to look for it."""
    if len(text) > _LONGEST:
        return ""
    try:
        _Scanner(text).document()
    except _SyntaxFault as fault:
        return str(fault)
    return ""


class _SyntaxFault(Exception):
    pass


_SPACE = " \t\r\n"
_DIGITS = "0123456789"
_END = ""


class _Scanner:
    """Walks over a JSON text; raises `_SyntaxFault` at the first wrong character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> None:
        self._value()
        if self._peek() != _END:
            self._fail("after top-level value")

    def _char(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else _END

    def _peek(self) -> str:
        while self._char() and self._char() in _SPACE:
            self._at += 1
        return self._char()

    def _fail(self, where: str) -> None:
        char = self._char()
        if char == _END:
            raise _SyntaxFault("unexpected end of JSON input")
        shown = {"'": "\\'", '"': '"'}.get(char) or quote(char)[1:-1]
        raise _SyntaxFault(f"invalid character '{shown}' {where}")

    def _value(self) -> None:
        # Nesting is kept on a list, not on the interpreter's stack.
        open_ends: list[str] = []
        while True:
            char = self._peek()
            if char and char in "{[":
                self._at += 1
                if self._opened(char):
                    open_ends.append(char)
                    continue
            elif char == '"':
                self._string()
            else:
                self._plain_value(char)
            while open_ends and self._closed(open_ends[-1]):
                open_ends.pop()
            if not open_ends:
                return

    def _opened(self, char: str) -> bool:
        """After an opening bracket: whether a value follows (the object's name is read)."""
        follows = self._peek()
        if (char, follows) in (("{", "}"), ("[", "]")):
            self._at += 1
            return False
        if char == "{":
            self._name()
        return True

    def _name(self) -> None:
        if self._peek() != '"':
            self._fail("looking for beginning of object key string")
        self._string()
        if self._peek() != ":":
            self._fail("after object key")
        self._at += 1

    def _closed(self, opened: str) -> bool:
        """After a member: whether the bracket closes (else the next member's name is read)."""
        char = self._peek()
        if char == ("}" if opened == "{" else "]"):
            self._at += 1
            return True
        if char != ",":
            self._fail("after object key:value pair" if opened == "{" else "after array element")
        self._at += 1
        if opened == "{":
            self._name()
        return False

    def _plain_value(self, char: str) -> None:
        if char and char in "-0123456789":
            self._number()
        elif char in ("t", "f", "n"):
            self._literal({"t": "true", "f": "false", "n": "null"}[char])
        else:
            self._fail("looking for beginning of value")

    def _literal(self, word: str) -> None:
        for expected in word:
            if self._char() != expected:
                self._fail(f"in literal {word} (expecting '{expected}')")
            self._at += 1

    def _digits(self, where: str) -> None:
        if not (self._char() and self._char() in _DIGITS):
            self._fail(where)
        while self._char() and self._char() in _DIGITS:
            self._at += 1

    def _number(self) -> None:
        if self._char() == "-":
            self._at += 1
        if self._char() == "0":
            self._at += 1
        else:
            self._digits("in numeric literal")
        if self._char() == ".":
            self._at += 1
            self._digits("after decimal point in numeric literal")
        if self._char() and self._char() in "eE":
            self._at += 1
            if self._char() and self._char() in "+-":
                self._at += 1
            self._digits("in exponent of numeric literal")

    def _string(self) -> None:
        self._at += 1
        while self._char() != '"':
            char = self._char()
            if char == _END or char < " ":
                self._fail("in string literal")
            self._at += 1
            if char == "\\":
                self._escape()
        self._at += 1

    def _escape(self) -> None:
        char = self._char()
        if not char or char not in 'bfnrt\\/"u':
            self._fail("in string escape code")
        self._at += 1
        if char == "u":
            for _ in range(4):
                if not self._char() or self._char() not in "0123456789abcdefABCDEF":
                    self._fail("in \\u hexadecimal character escape")
                self._at += 1
