"""Field selectors: `metadata.name=a,status.phase!=Running`.

Which fields a resource can be selected by is the resource's business (see `transform`). Texts of errors follow
k8s.io/apimachinery/pkg/fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

#: Maps a (field, value) of a query to the one that is matched. Raises for a field that cannot be selected by.
Transform: TypeAlias = Callable[[str, str], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: the field has, or has not (`negated`), this value."""

    field: str
    value: str
    negated: bool = False

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether the condition holds; a field that is absent has the empty value."""
        return (fields.get(self.field, "") == self.value) != self.negated

    def __str__(self) -> str:
        return f"{self.field}{'!=' if self.negated else '='}{escape(self.value)}"


class Selector:
    """Every term must hold; without any, everything matches."""

    __slots__ = ("terms",)

    def __init__(self, terms: Iterable[Term] = ()) -> None:
        self.terms = tuple(terms)

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object with these fields is selected."""
        return all(term.matches(fields) for term in self.terms)

    @property
    def is_everything(self) -> bool:
        """Whether every object is selected."""
        return not self.terms

    def exact(self, field: str) -> str | None:
        """The value this field must have, or `None` when the selector does not say."""
        return next((term.value for term in self.terms if term.field == field and not term.negated), None)

    def __str__(self) -> str:
        return ",".join(str(term) for term in self.terms)


EVERYTHING = Selector()


def parse(text: str, transform: Transform | None = None) -> Selector:
    """The selector of a query's `fieldSelector`.

    Raises `ValueError` with Kubernetes' message, or whatever `transform` raises.
    """
    terms = []
    for part in sorted(_split(text)):
        if not part:
            continue
        name, operator, raw = _term(part)
        if not operator:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{part}'")
        value = _unescape(raw)
        if transform is not None:
            name, value = transform(name, value)
        if name or value:
            terms.append(Term(name, value, operator == "!="))
    return Selector(terms)


def escape(value: str) -> str:
    """A value as it is written in a selector."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _split(text: str) -> list[str]:
    """The terms between commas that no backslash escapes."""
    parts, begin, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == ",":
            parts.append(text[begin:at])
            begin = at + 1
        at += 1
    parts.append(text[begin:])
    return parts


def _term(part: str) -> tuple[str, str, str]:
    """(field, operator, value as written), split at the first operator."""
    for at, char in enumerate(part):
        if char in "!=":
            for operator in ("!=", "==", "="):
                if part.startswith(operator, at):
                    return part[:at], operator, part[at + len(operator) :]
    return part, "", ""


def _unescape(raw: str) -> str:
    out, at = [], 0
    while at < len(raw):
        char = raw[at]
        if char == "\\":
            char = raw[at + 1 : at + 2]
            if not char or char not in "\\,=":
                raise ValueError(f"invalid field selector: invalid escape sequence: \\{char}")
            at += 1
        elif char in ",=":
            raise ValueError(f"invalid field selector: unescaped character in value: {ord(char)}")
        out.append(char)
        at += 1
    return "".join(out)
