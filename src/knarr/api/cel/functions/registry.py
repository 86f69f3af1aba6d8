"""Which implementation a call with certain values means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.values import Lazy, MapList, SetList, no_overload, type_name

Implementation = Callable[..., Any]
_Made = TypeVar("_Made", bound=Implementation)
#: What a parameter of any type is declared as.
ANY = object
_PLAIN: dict[type, type] = {SetList: list, MapList: list, Lazy: dict}


class Function:
    """A function of one name: `meanings` by the types of its arguments, receiver first."""

    __slots__ = ("exact", "general", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.exact: dict[tuple[type, ...], Implementation] = {}
        self.general: list[tuple[tuple[type, ...], Implementation]] = []

    def add(self, kinds: tuple[type, ...], made: Implementation) -> None:
        """One more meaning."""
        if ANY in kinds:
            self.general.append((kinds, made))
        else:
            self.exact[kinds] = made

    def meaning(self, *values: Any) -> Implementation:
        """What is to be called with such values. Raises `EvaluationError` where there is nothing."""
        kinds = tuple(map(type, values))
        found = self.exact.get(kinds)
        return self._other(kinds, values) if found is None else found

    def _other(self, kinds: tuple[type, ...], values: tuple[Any, ...]) -> Implementation:
        plain = tuple(_plain(kind) for kind in kinds)
        if plain != kinds and plain in self.exact:
            return self.exact[plain]
        for wanted, made in self.general:
            if len(wanted) == len(plain) and all(want in (ANY, kind) for want, kind in zip(wanted, plain, strict=True)):
                return made
        raise _unknown(self.name, values)


#: What conversions make.
_CONVERSIONS = {name: name for name in ("bool", "bytes", "double", "int", "string", "uint")}
_CONVERSIONS |= {"duration": "google.protobuf.Duration", "timestamp": "google.protobuf.Timestamp"}


def _unknown(name: str, values: tuple[Any, ...]) -> EvaluationError:
    if name in _CONVERSIONS:
        return EvaluationError(f"type conversion error from '{type_name(values[0])}' to '{_CONVERSIONS[name]}'")
    return EvaluationError("no such overload: size") if name == "size" else no_overload(name, *values)


def _plain(kind: type) -> type:
    known = _PLAIN.get(kind)
    return known if known is not None else dict if issubclass(kind, dict) else kind


class Library:
    """Functions of one subject, collected by decorating their implementations."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}

    def add(self, name: str, *kinds: type) -> Callable[[_Made], _Made]:
        """Decorate what `name` does with values of these types."""

        def added(made: _Made) -> _Made:
            self.functions.setdefault(name, Function(name)).add(kinds, made)
            return made

        return added

    def include(self, other: Library) -> None:
        """Take in what another library has."""
        for name, function in other.functions.items():
            mine = self.functions.setdefault(name, Function(name))
            mine.exact |= function.exact
            mine.general += function.general
