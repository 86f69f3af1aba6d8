"""What Go's encoding/json says of text that is no JSON: for error messages, after another parser has refused it.

Source of the texts: encoding/json/scanner.go.
"""

from __future__ import annotations

_SPACE = b" \t\r\n"
_DIGITS = b"0123456789"
_END = "unexpected end of JSON input"
_LITERALS = {b"t": b"true", b"f": b"false", b"n": b"null"}


class _BadError(Exception):
    """The text goes wrong here; the message says how."""


def describe(data: bytes) -> str:
    """The message for malformed JSON; empty when the text is well-formed after all."""
    scanner = _Scanner(data)
    try:
        scanner.value("looking for beginning of value")
        scanner.space()
        if scanner.at < len(data):
            scanner.fail("after top-level value")
    except _BadError as error:
        return str(error)
    except RecursionError:
        return "exceeded max depth"
    return ""


class _Scanner:
    """Walks a text and stops at the first character that JSON forbids."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def fail(self, context: str) -> None:
        if self.at >= len(self.data):
            raise _BadError(_END)
        raise _BadError(f"invalid character {_quote(self.data[self.at])} {context}")

    def space(self) -> None:
        while self.at < len(self.data) and self.data[self.at] in _SPACE:
            self.at += 1

    def peek(self) -> bytes:
        return self.data[self.at : self.at + 1]

    def value(self, context: str) -> None:
        self.space()
        char = self.peek()
        if char == b"{":
            self._object()
        elif char == b"[":
            self._array()
        elif char == b'"':
            self._string()
        elif char in _LITERALS and char:
            self._literal(_LITERALS[char])
        elif char and char in b"-0123456789":
            self._number()
        else:
            self.fail(context)

    def _object(self) -> None:
        self.at += 1
        self.space()
        if self.peek() == b"}":
            self.at += 1
            return
        while True:
            self.space()
            if self.peek() != b'"':
                self.fail("looking for beginning of object key string")
            self._string()
            self.space()
            if self.peek() != b":":
                self.fail("after object key")
            self.at += 1
            self.value("looking for beginning of value")
            self.space()
            if self._closes(b"}", "after object key:value pair"):
                return

    def _array(self) -> None:
        self.at += 1
        self.space()
        if self.peek() == b"]":
            self.at += 1
            return
        while True:
            self.value("looking for beginning of value")
            self.space()
            if self._closes(b"]", "after array element"):
                return

    def _closes(self, end: bytes, context: str) -> bool:
        char = self.peek()
        if char not in (b",", end):
            self.fail(context)
        self.at += 1
        return char == end

    def _string(self) -> None:
        self.at += 1
        while True:
            char = self.peek()
            if not char or char < b" ":
                self.fail("in string literal")
            self.at += 1
            if char == b'"':
                return
            if char == b"\\":
                self._escape()

    def _escape(self) -> None:
        char = self.peek()
        if not char or char not in b'bfnrt\\/"u':
            self.fail("in string escape code")
        self.at += 1
        if char == b"u":
            for _ in range(4):
                if not self.peek() or self.peek() not in b"0123456789abcdefABCDEF":
                    self.fail("in \\u hexadecimal character escape")
                self.at += 1

    def _literal(self, word: bytes) -> None:
        for index, wanted in enumerate(word):
            if self.peek() != bytes([wanted]):
                self.fail(f"in literal {word.decode()} (expecting {_quote(wanted)})" if index else "")
            self.at += 1

    def _number(self) -> None:
        if self.peek() == b"-":
            self.at += 1
            if not self.peek() or self.peek() not in _DIGITS:
                self.fail("in numeric literal")
        if self.peek() == b"0":
            self.at += 1
        else:
            self._digits()
        if self.peek() == b".":
            self.at += 1
            if not self.peek() or self.peek() not in _DIGITS:
                self.fail("after decimal point in numeric literal")
            self._digits()
        if self.peek() and self.peek() in b"eE":
            self.at += 1
            if self.peek() and self.peek() in b"+-":
                self.at += 1
            if not self.peek() or self.peek() not in _DIGITS:
                self.fail("in exponent of numeric literal")
            self._digits()

    def _digits(self) -> None:
        while self.peek() and self.peek() in _DIGITS:
            self.at += 1


def _quote(char: int) -> str:
    """A byte as Go's error quotes it."""
    text = chr(char)
    special = {"'": "'\\''", '"': "'\"'", "\\": "'\\\\'", "\n": "'\\n'", "\t": "'\\t'", "\r": "'\\r'"}
    if text in special:
        return special[text]
    if char < 0x20 or char == 0x7F:
        return f"'\\x{char:02x}'"
    return f"'{text}'"
