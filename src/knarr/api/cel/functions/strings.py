"""Functions of texts: the operators' own, and those of cel-go's package ext (strings, version 2)."""

from __future__ import annotations

from typing import Any

from knarr.api.cel.budget import BudgetExceeded, EvaluationError
from knarr.api.cel.functions.registry import Library

library = Library()
#: No text may grow beyond this many characters: budgets do not foresee how texts multiply.
LONGEST = 64 * 1024 * 1024
_QUOTED = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_QUOTED |= {"\\": "\\\\", '"': '\\"'}
_SPACE = "\t\n\v\f\r \x85\xa0\u1680"
_SPACE += "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")

for _kind in (str, bytes, list, dict):
    library.add("size", _kind)(len)
library.add("contains", str, str)(lambda text, part: part in text)
library.add("startsWith", str, str)(str.startswith)
library.add("endsWith", str, str)(str.endswith)


def _bounded(size: int) -> None:
    if size > LONGEST:
        raise BudgetExceeded(call=True)


@library.add("charAt", str, int)
def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise EvaluationError(f"index out of range: {index}")
    return text[index : index + 1]


@library.add("indexOf", str, str)
def _index_of(text: str, part: str) -> int:
    return text.find(part)


@library.add("indexOf", str, str, int)
def _index_of_from(text: str, part: str, start: int) -> int:
    if not part:
        return start
    if start < 0:
        raise EvaluationError(f"index out of range: {start}")
    return text.find(part, start)


@library.add("lastIndexOf", str, str)
def _last_index_of(text: str, part: str) -> int:
    return text.rfind(part)


@library.add("lastIndexOf", str, str, int)
def _last_index_of_until(text: str, part: str, last: int) -> int:
    if not part:
        return last
    if last < 0:
        raise EvaluationError(f"index out of range: {last}")
    return text.rfind(part, 0, last + len(part)) if last < len(text) else -1


@library.add("lowerAscii", str)
def _lower(text: str) -> str:
    return text.translate(_LOWER)


@library.add("upperAscii", str)
def _upper(text: str) -> str:
    return text.translate(_UPPER)


@library.add("replace", str, str, str)
def _replace(text: str, old: str, new: str) -> str:
    return _replace_some(text, old, new, -1)


@library.add("replace", str, str, str, int)
def _replace_some(text: str, old: str, new: str, count: int) -> str:
    often = text.count(old)
    _bounded(len(text) + (often if count < 0 else min(often, count)) * len(new))
    return text.replace(old, new, count if count >= 0 else -1)


@library.add("split", str, str)
def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


@library.add("split", str, str, int)
def _split_some(text: str, separator: str, count: int) -> list[str]:
    if count == 0:
        return []
    if count < 0:
        return _split(text, separator)
    if separator:
        return text.split(separator, count - 1)
    return list(text) if count > len(text) else [*text[: count - 1], text[count - 1 :]]


@library.add("substring", str, int)
def _substring(text: str, start: int) -> str:
    if not 0 <= start <= len(text):
        raise EvaluationError(f"index out of range: {start}")
    return text[start:]


@library.add("substring", str, int, int)
def _substring_until(text: str, start: int, end: int) -> str:
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    for index in (start, end):
        if not 0 <= index <= len(text):
            raise EvaluationError(f"index out of range: {index}")
    return text[start:end]


@library.add("trim", str)
def _trim(text: str) -> str:
    return text.strip(_SPACE)


@library.add("join", list)
def _join(items: list[Any]) -> str:
    return _join_by(items, "")


@library.add("join", list, str)
def _join_by(items: list[Any], separator: str) -> str:
    for item in items:
        if type(item) is not str:
            raise EvaluationError("no such overload")
    _bounded(sum(map(len, items)) + len(separator) * len(items))
    return separator.join(items)


@library.add("strings.quote", str)
def _quote(text: str) -> str:
    return '"' + "".join(_QUOTED.get(char, char) for char in text) + '"'
