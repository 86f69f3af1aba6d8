"""What is wrong with an expression, as Kubernetes says it: messages with the place in the text.

Errors of syntax are worded by `cel-expr-python`, Google's C++ implementation: it has the grammar of the Go one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from knarr.api.cel.lexer import SyntaxFault
from knarr.apimachinery import field
from knarr.apimachinery.field import FieldError

_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)", re.DOTALL)
_FAILED = "compilation failed: "
#: How the problem begins of an expression that compiles, and of which no program can be made.
INSTANTIATION = "program instantiation failed: "


def problem(text: str, found: Sequence[tuple[int, str]]) -> str:
    """Offsets and sentences, each with its line of the text."""
    return _FAILED + "\n".join(_marked(text, at, sentence) for at, sentence in found)


def _marked(text: str, at: int, sentence: str) -> str:
    if at < 0:
        return f"ERROR: <input>:-1:0: {sentence}"
    before = text[:at].split("\n")
    line, column = len(before), len(before[-1])
    source = text.split("\n")[line - 1].replace("\t", " ")
    dots = "".join("." if char.isascii() else "．" for char in source[:column])
    sign = "＾" if column < len(source) and not source[column].isascii() else "^"
    return f"ERROR: <input>:{line}:{column + 1}: {sentence}\n | {source}\n | {dots}{sign}"


def problem_error(path: str, value: Any, found: str) -> FieldError:
    """The error of a field that holds an expression with a problem."""
    if found.startswith(INSTANTIATION):
        return field.internal(path, found)
    return field.invalid(path, value, found)


def syntax_problem(text: str, fault: SyntaxFault) -> str:
    """What is wrong with an expression that could not be parsed."""
    if not fault.message.startswith("Syntax error"):
        return problem(text, [(fault.at, fault.message)])
    try:
        _environment().compile(text, disable_check=True)
    except RuntimeError as error:
        worded = _worded(text, str(error))
        if worded:
            return worded
    return problem(text, [(fault.at, fault.message)])


def _worded(text: str, message: str) -> str:
    message = message.removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
    parts = [f"ERROR: {part}".rstrip("\n") for part in message.split("ERROR: ") if part]
    kept = [line for part in parts if (line := _line(text, part))]
    return _FAILED + "\n".join(kept) if kept else ""


def _line(text: str, part: str) -> str:
    match = _ERROR.match(part)
    if match is None or int(match[1]) > len(text) + 1:
        return ""
    sentence, *snippet = match[3].replace("\\u003F", "?").split("\n")
    column = int(match[2]) if text else 0
    return "\n".join([f"ERROR: <input>:{match[1]}:{column}: {sentence}", *snippet])


@cache
def _environment() -> Any:
    # It is 14 MB: loaded with the first error.
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_optional

    return cel.NewEnv(variables={}, extensions=[ext_optional.ExtOptional()])
