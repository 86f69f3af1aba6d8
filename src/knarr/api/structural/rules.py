"""The rules of a schema in CEL (`x-kubernetes-validations`): which of them an object breaks.

Rules run from the outside in, each on the values that its schema is of, all on one budget. Those that ask for the old
value run only where there is one to compare with; what broke a rule before, and did not change, breaks none.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from knarr.api.cel import Budget, BudgetExceeded, EvaluationError, Optional, Program
from knarr.api.structural.causes import Errors
from knarr.api.structural.compiled_rules import Rule, RuleTree
from knarr.api.structural.correlation import Correlation
from knarr.api.structural.effort import QUICK, Effort, TooDearError
from knarr.api.structural.numbers import shown
from knarr.apimachinery import field
from knarr.apimachinery.field import Bare, FieldError
from knarr.apimachinery.types import Object

_NOWHERE = "<nil>"
_OUT = "validation failed due to running out of cost budget, no further validation rules will be run"
_MESSAGE_OUT = (
    "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run"
)
_NO_MORE = "no further validation rules will be run due to call cost exceeds limit for"
_NO_OVERLOAD = "call arguments did not match a supported operator, function or macro signature for rule"
_LONGEST_MESSAGE = 5 * 1024
_META = ("apiVersion", "kind")


class Place(NamedTuple):
    """A value, what it was (None where that is nothing to compare), and where it stands.

    `was` is the old value of the same place as ratcheting sees it, `above` that of the nearest place around it.
    """

    path: str
    value: Any
    old: Any
    was: Correlation | None
    above: Correlation | None = None

    def member(self, name: str, path: str, old: Any) -> Place:
        """A member's place."""
        was, above = self._below(None if self.was is None else self.was.key(name))
        if self.was is not None and self.above is None and name in _META:
            # Both are brought to the version that is asked for: nothing can be said of a change.
            was = above = None
        return Place(path, self.value[name], old, was, above)

    def item(self, at: int, path: str, old: Any) -> Place:
        """A list item's place."""
        was, above = self._below(None if self.was is None else self.was.index(at))
        return Place(path, self.value[at], old, was, above)

    def _below(self, found: Correlation | None) -> tuple[Correlation | None, Correlation | None]:
        return (None, self.above) if self.was is None else (found, self.was)

    @property
    def unchanged(self) -> bool:
        """Whether the value, or else what is around it, is what it was."""
        known = self.was or self.above
        return known is not None and known.unchanged


class _Stop(Exception):
    """No further rule is run."""


def broken(tree: RuleTree, obj: Object, old: Object | None, effort: Effort) -> Errors:
    """The errors of all rules that an object breaks. Raises `TooDearError` where that is quickly told only in part."""
    runner = _Runner(effort)
    was = None if old is None else Correlation(tree.node, old, obj)
    with suppress(_Stop):
        runner.value(tree, Place("", obj, old, was))
    return runner.errors


def broken_by_default(tree: RuleTree, value: Any, path: str) -> Errors:
    """The errors of all rules that a default breaks, as if it stood there before; `path` is where it stands."""
    runner = _Runner(Effort())
    with suppress(_Stop):
        runner.value(tree, Place(path, value, value, None))
    return runner.errors


class _Runner:
    """The rules of one object: errors so far, and what is left to spend."""

    def __init__(self, effort: Effort) -> None:
        self.errors: Errors = []
        self._effort = effort
        self._budget = Budget(QUICK, QUICK) if effort.quick else Budget()

    def value(self, tree: RuleTree, place: Place) -> None:
        """The rules of a value and of all inside of it. Raises `_Stop`."""
        if place.value is None:
            return
        for rule in tree.rules:
            if not rule.asks_old or place.old is not None or rule.optional_old:
                self._rule(tree, rule, place)
        if type(place.value) is dict:
            self._members(tree, place)
        elif type(place.value) is list and tree.items is not None:
            before = Correlation(tree.node, place.old, place.value)
            for at, item in enumerate(place.value):
                self.value(tree.items, place.item(at, f"{place.path}[{at}]", before.old_item(item)))

    def _members(self, tree: RuleTree, place: Place) -> None:
        comparable = isinstance(place.old, dict) and tree.node.schema.get("x-kubernetes-map-type") != "atomic"
        for name in place.value:
            old = place.old.get(name) if comparable else None
            if tree.extra is not None:
                self.value(tree.extra, place.member(name, f"{place.path}[{name}]", old))
            inner = tree.field(name)
            if inner is not None:
                self.value(inner, place.member(name, f"{place.path}.{name}" if place.path else name, old))

    def _rule(self, tree: RuleTree, rule: Rule, place: Place) -> None:
        path, kind = place.path or _NOWHERE, tree.node.type
        if rule.program.problem:
            self.errors.append(field.invalid(path, kind, f"rule compile error: {rule.program.problem}"))
            return
        if self._budget.remaining <= 0:
            self._too_dear()
            self._stop(field.invalid(path, kind, _OUT))
        try:
            holds = rule.program.evaluate(self._values(rule, place), self._budget)
        except BudgetExceeded as error:
            self._too_dear()
            text = f"'{error.message}': {_NO_MORE} rule: {rule.told}" if error.call else _OUT
            self._stop(field.invalid(path, kind, text))
        except EvaluationError as error:
            text = f"{error.message} evaluating rule: {rule.told}"
            if error.message.startswith("no such overload"):
                text = f"'{error.message}': {_NO_OVERLOAD}: {rule.told}"
            self.errors.append(field.invalid(path, kind, text))
        else:
            if holds is not True:
                self._failed(tree, rule, place)

    def _values(self, rule: Rule, place: Place) -> dict[str, Any]:
        if rule.optional_old:
            return {"self": place.value, "oldSelf": Optional(place.old, present=place.old is not None)}
        return {"self": place.value} if place.old is None else {"self": place.value, "oldSelf": place.old}

    def _failed(self, tree: RuleTree, rule: Rule, place: Place) -> None:
        path = f"{place.path}{rule.below}" if place.path else rule.below.removeprefix(".") or _NOWHERE
        text = rule.default_message
        if rule.message is not None:
            text = self._message(tree, rule, rule.message, place, path) or text
        self._add(rule, place, _error(path, place.value, text, rule.reason))

    def _message(self, tree: RuleTree, rule: Rule, message: Program, place: Place, path: str) -> str:
        """What the rule's own expression says; empty where it says nothing that can be shown."""
        try:
            found = message.evaluate(self._values(rule, place), self._budget)
        except BudgetExceeded as error:
            self._too_dear()
            text = f"{_NO_MORE} messageExpression: {field.quote(message.text)}" if error.call else _MESSAGE_OUT
            self._add(rule, place, field.invalid(path, tree.node.type, text))
            raise _Stop from None
        except EvaluationError:
            return ""
        text = found.strip() if isinstance(found, str) else ""
        return "" if "\n" in text or len(text.encode()) > _LONGEST_MESSAGE else text

    def _add(self, rule: Rule, place: Place, error: FieldError) -> None:
        if not rule.asks_old and place.unchanged:
            self._effort.warnings.append(str(error))
        else:
            self.errors.append(error)

    def _too_dear(self) -> None:
        if self._effort.quick:
            raise TooDearError

    def _stop(self, error: FieldError) -> None:
        self.errors.append(error)
        raise _Stop


def _error(path: str, value: Any, text: str, reason: str) -> FieldError:
    shown_value: Any = Bare(shown(value)) if type(value) is float else value
    if type(value) in (dict, list):
        # Only of what is short enough the message shows the value.
        shown_value = field.OMITTED
    if reason == "FieldValueForbidden":
        return field.forbidden(path, text)
    if reason == "FieldValueRequired":
        return field.required(path, text)
    if reason == "FieldValueDuplicate":
        return field.duplicate(path, shown_value)
    return field.invalid(path, shown_value, text)
