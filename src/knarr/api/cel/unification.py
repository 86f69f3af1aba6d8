"""Which types may stand for which, and what unknown ones turn out to be.

Source of the rules: https://pkg.go.dev/github.com/google/cel-go/checker.
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.cel.types import Type, param

_NULLABLE = frozenset({"opaque", "object", "timestamp", "duration", "null"})
_WILD = frozenset({"dyn", "error"})


class Substitutions:
    """What was found of unknown types."""

    def __init__(self) -> None:
        self.known: dict[str, Type] = {}
        self.changes: list[tuple[str, Type | None]] = []
        self.count = 0

    def new(self) -> Type:
        """A type not yet known."""
        self.count += 1
        return param(f"_var{self.count - 1}")

    def applied(self, kind: Type, free: Type | None = None) -> Type:
        """A type with what is known put in; what stays unknown becomes `free`, if given."""
        if kind.kind == "param":
            found = self.known.get(kind.name)
            if found is not None:
                return self.applied(found, free)
            return kind if free is None else free
        if not kind.params:
            return kind
        parts = tuple(self.applied(part, free) for part in kind.params)
        return kind if parts == kind.params else Type(kind.kind, kind.name, parts, kind.find, kind.shape)

    def assignable(self, left: Type, right: Type) -> bool:
        """Whether one may stand for the other; what follows of unknown types is kept only then."""
        return self.all_assignable((left,), (right,))

    def all_assignable(self, left: Sequence[Type], right: Sequence[Type]) -> bool:
        """The same of several at once."""
        before = len(self.changes)
        if self._all(left, right):
            return True
        while len(self.changes) > before:
            name, old = self.changes.pop()
            if old is None:
                del self.known[name]
            else:
                self.known[name] = old
        return False

    def _learn(self, unknown: Type, kind: Type) -> None:
        self.changes.append((unknown.name, self.known.get(unknown.name)))
        self.known[unknown.name] = kind

    def _all(self, left: Sequence[Type], right: Sequence[Type]) -> bool:
        return len(left) == len(right) and all(self._one(one, two) for one, two in zip(left, right, strict=True))

    def _one(self, one: Type, two: Type) -> bool:
        if two.kind == "param":
            valid, known = self._substituted(one, two)
            if valid or known:
                return valid
        if one.kind == "param":
            return self._substituted(two, one)[0]
        if one.kind in _WILD or two.kind in _WILD:
            return True
        if one.kind == "null" or two.kind == "null":
            return (two if one.kind == "null" else one).kind in _NULLABLE
        if one.kind == "type":
            return two.kind == "type"
        return one.kind == two.kind and one.name == two.name and self._all(one.params, two.params)

    def _substituted(self, kind: Type, unknown: Type) -> tuple[bool, bool]:
        """Whether a type may stand for an unknown one, and whether something was known of that."""
        if kind == unknown:
            return True, True
        known = self.known.get(unknown.name)
        if known is None:
            if self._within(unknown, kind):
                return False, False
            self._learn(unknown, kind)
            return True, False
        if kind == known:
            return True, True
        if not self._one(kind, known):
            return False, True
        general = most_general(kind, known)
        if not self._within(unknown, general):
            self._learn(unknown, general)
        return True, True

    def _within(self, unknown: Type, kind: Type) -> bool:
        if kind == unknown:
            return True
        if kind.kind == "param":
            found = self.known.get(kind.name)
            return found is not None and self._within(unknown, found)
        return any(self._within(unknown, part) for part in kind.params)


def most_general(one: Type, two: Type) -> Type:
    """The one of two that says less."""
    return one if _as_general(one, two) else two


def _as_general(one: Type, two: Type) -> bool:
    if one.kind in ("dyn", "param"):
        return True
    if two.kind in ("dyn", "param"):
        return False
    if one.kind != two.kind or len(one.params) != len(two.params):
        return False
    if one.kind in ("opaque", "list", "map"):
        return one.name == two.name and all(map(_as_general, one.params, two.params))
    return one == two
