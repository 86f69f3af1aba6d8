"""Label selectors: from query text or `LabelSelector` objects to something that matches labels.

A `Selector` is a conjunction of requirements, immutable and hashable by identity. Texts of errors follow
k8s.io/apimachinery/pkg/labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from knarr.apimachinery import field, label_syntax
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object

IN, NOT_IN, EXISTS, DOES_NOT_EXIST = "in", "notin", "exists", "!"
EQUALS, DOUBLE_EQUALS, NOT_EQUALS, GREATER, LESS = "=", "==", "!=", "gt", "lt"

_BINARY = (IN, NOT_IN, EQUALS, DOUBLE_EQUALS, NOT_EQUALS, GREATER, LESS)
_POSITIVE = frozenset({IN, EQUALS, DOUBLE_EQUALS})
_NEGATIVE = frozenset({NOT_IN, NOT_EQUALS})
_OF_OBJECT = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": DOES_NOT_EXIST}
_SHOWN = {GREATER: ">", LESS: "<"}
_NO_LABELS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on the label `key`."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet the condition."""
        operator, value = self.operator, labels.get(self.key)
        if operator in _POSITIVE:
            return value in self.values
        if operator in _NEGATIVE:
            return value is None or value not in self.values
        if operator == EXISTS:
            return value is not None
        if operator == DOES_NOT_EXIST:
            return value is None
        return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        left = _int64(value)
        right = _int64(next(iter(self.values), ""))
        if left is None or right is None:
            return False
        return left > right if self.operator == GREATER else left < right

    def __str__(self) -> str:
        if self.operator == DOES_NOT_EXIST:
            return f"!{self.key}"
        if self.operator == EXISTS:
            return self.key
        joined = ",".join(sorted(self.values))
        if self.operator in (IN, NOT_IN):
            return f"{self.key} {self.operator} ({joined})"
        return f"{self.key}{_SHOWN.get(self.operator, self.operator)}{joined}"


class Selector:
    """Every requirement must hold; without any, everything matches."""

    __slots__ = ("_never", "requirements")

    def __init__(self, requirements: Iterable[Requirement] = (), *, never: bool = False) -> None:
        self.requirements = tuple(sorted(requirements, key=lambda requirement: requirement.key))
        self._never = never

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        if self._never:
            return False
        labels = labels or _NO_LABELS
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def is_everything(self) -> bool:
        """Whether every object is selected."""
        return not self.requirements and not self._never

    @property
    def is_nothing(self) -> bool:
        """Whether no object can be selected."""
        return self._never

    @property
    def one_value(self) -> tuple[str, str] | None:
        """The first label that must have one value, and that value."""
        for requirement in self.requirements:
            if requirement.operator in _POSITIVE and len(requirement.values) == 1:
                return requirement.key, next(iter(requirement.values))
        return None

    def exact(self, key: str) -> str | None:
        """The one value the label `key` must have, or `None` when there is no such single value."""
        for requirement in self.requirements:
            if requirement.key == key:
                single = requirement.operator in _POSITIVE and len(requirement.values) == 1
                return next(iter(requirement.values)) if single else None
        return None

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)

    def __repr__(self) -> str:
        return "Selector(nothing)" if self._never else f"Selector({str(self)!r})"


EVERYTHING = Selector()
NOTHING = Selector(never=True)


def from_set(labels: Mapping[str, str] | None) -> Selector:
    """The selector of objects that carry all these labels (`matchLabels`, a Service's or node selector)."""
    if not labels:
        return EVERYTHING
    return Selector(Requirement(key, EQUALS, frozenset((value,))) for key, value in labels.items())


def from_object(selector: Object | None) -> Selector:
    """The selector of a `LabelSelector` object: none selects nothing, an empty one everything.

    Raises `ValueError` for one that is not valid.
    """
    if selector is None:
        return NOTHING
    requirements = [Requirement(key, EQUALS, frozenset((value,))) for key, value in _map(selector.get("matchLabels"))]
    for expression in selector.get("matchExpressions") or ():
        operator = _OF_OBJECT.get(expression.get("operator", ""))
        if operator is None:
            raise ValueError(f"{field.quote(expression.get('operator', ''))} is not a valid label selector operator")
        requirements.append(requirement(expression.get("key", ""), operator, expression.get("values") or ()))
    return Selector(requirements)


def _map(labels: Mapping[str, str] | None) -> Iterable[tuple[str, str]]:
    return (labels or _NO_LABELS).items()


def requirement(key: str, operator: str, values: Iterable[str]) -> Requirement:
    """A checked requirement. Raises `ValueError` naming every fault."""
    values = sorted(set(values))
    errors = [field.invalid("key", key, text) for text in _joined(label_syntax.key_errors(key))]
    errors += _count_errors(operator, values)
    for index, value in enumerate(values):
        path = f"values[{index}][{key}]"
        errors += [field.invalid(path, value, text) for text in _joined(label_syntax.value_errors(value))]
    if errors:
        texts = list(dict.fromkeys(str(error) for error in errors))
        raise ValueError(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    return Requirement(key, operator, frozenset(values))


def _joined(texts: tuple[str, ...]) -> list[str]:
    return ["; ".join(texts)] if texts else []


def _count_errors(operator: str, values: list[str]) -> list[FieldError]:
    if operator in (IN, NOT_IN):
        detail = "" if values else "for 'in', 'notin' operators, values set can't be empty"
    elif operator in (EQUALS, DOUBLE_EQUALS, NOT_EQUALS):
        detail = "" if len(values) == 1 else "exact-match compatibility requires one single value"
    elif operator in (EXISTS, DOES_NOT_EXIST):
        detail = "values set must be empty for exists and does not exist" if values else ""
    else:
        detail = "" if len(values) == 1 else "for 'Gt', 'Lt' operators, exactly one value is required"
    errors = [field.invalid("values", values, detail)] if detail else []
    if operator in (GREATER, LESS):
        wrong = "for 'Gt', 'Lt' operators, the value must be an integer"
        errors += [field.invalid(f"values[{i}]", v, wrong) for i, v in enumerate(values) if _int64(v) is None]
    return errors


def _int64(text: str) -> int | None:
    """A text as Go's ParseInt reads it in base 10, or None."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()) or len(digits.lstrip("0")) > 19:
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None


@lru_cache(maxsize=1024)
def parse(text: str) -> Selector:
    """The selector of a query's `labelSelector`. Raises `ValueError` with Kubernetes' message."""
    return Selector(_Parser(_scan(text)).requirements())


class _Token(NamedTuple):
    kind: str
    text: str


_WORDS = {"in": IN, "notin": NOT_IN}
_SYMBOLS = {")": ")", ",": ",", "!": "!", "==": "==", "=": "=", ">": GREATER, "<": LESS, "!=": "!=", "(": "("}
_SPECIAL = frozenset("=!(),><")
_SPACE = frozenset(" \t\r\n")
_IDENTIFIER, _END, _ERROR = "identifier", "end", "error"


def _scan(text: str) -> list[_Token]:
    tokens, at, end = [], 0, len(text)
    while at < end:
        begin = at
        if text[at] in _SPACE:
            at += 1
        elif text[at] in _SPECIAL:
            at += 2 if text[at : at + 2] in _SYMBOLS else 1
            tokens.append(_Token(_SYMBOLS[text[begin:at]], text[begin:at]))
        else:
            while at < end and text[at] not in _SPECIAL and text[at] not in _SPACE:
                at += 1
            word = text[begin:at]
            tokens.append(_Token(_WORDS.get(word, _IDENTIFIER), word))
    tokens.append(_Token(_END, ""))
    return tokens


class _Parser:
    """Reads requirements from tokens, from left to right."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def _peek(self) -> _Token:
        token = self._tokens[min(self._at, len(self._tokens) - 1)]
        return _Token(_IDENTIFIER, token.text) if token.kind in (IN, NOT_IN) else token

    def _take(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def requirements(self) -> list[Requirement]:
        out: list[Requirement] = []
        while (token := self._peek()).kind != _END:
            if token.kind not in (_IDENTIFIER, "!"):
                raise ValueError(f"found '{token.text}', expected: !, identifier, or 'end of string'")
            try:
                out.append(self._requirement())
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from None
            after = self._take()
            if after.kind == _END:
                break
            if after.kind != ",":
                raise ValueError(f"found '{after.text}', expected: ',' or 'end of string'")
            if self._peek().kind not in (_IDENTIFIER, "!"):
                raise ValueError(f"found '{self._peek().text}', expected: identifier after ','")
        return out

    def _requirement(self) -> Requirement:
        token = self._take()
        negated = token.kind == "!"
        if negated:
            token = self._take()
        if token.kind != _IDENTIFIER:
            raise ValueError(f"found '{token.text}', expected: identifier")
        key = token.text
        if wrong := label_syntax.key_errors(key):
            raise ValueError(str(field.invalid("<nil>", key, "; ".join(wrong))))
        if negated:
            return requirement(key, DOES_NOT_EXIST, ())
        if self._peek().kind in (_END, ","):
            return requirement(key, EXISTS, ())
        operator = self._operator()
        return requirement(key, operator, self._set() if operator in (IN, NOT_IN) else self._single())

    def _operator(self) -> str:
        token = self._tokens[min(self._at, len(self._tokens) - 1)]
        self._at += 1
        if token.kind not in _BINARY:
            raise ValueError(f"found '{token.text}', expected: {', '.join(_BINARY)}")
        return token.kind

    def _single(self) -> list[str]:
        if self._peek().kind in (_END, ","):
            return [""]
        token = self._take()
        if token.kind != _IDENTIFIER:
            raise ValueError(f"found '{token.text}', expected: identifier")
        return [token.text]

    def _set(self) -> set[str]:
        token = self._take()
        if token.kind != "(":
            raise ValueError(f"found '{token.text}' expected: '('")
        first = self._peek()
        if first.kind == ")":
            self._take()
            return {""}
        if first.kind not in (_IDENTIFIER, ","):
            raise ValueError(f"found '{first.text}', expected: ',', ')' or identifier")
        return self._values()

    def _values(self) -> set[str]:
        """Identifiers between commas up to the closing parenthesis; nothing between two commas is the empty value."""
        values: set[str] = set()
        while True:
            token = self._take()
            after = self._peek()
            if token.kind == _IDENTIFIER:
                values.add(token.text)
                if after.kind not in (",", ")"):
                    raise ValueError(f"found '{after.text}', expected: ',' or ')'")
            elif token.kind == ",":
                if not values or after.kind in (",", ")"):
                    values.add("")
            else:
                raise ValueError(f"found '{token.text}', expected: ',', or identifier")
            if after.kind == ")":
                self._take()
                return values
