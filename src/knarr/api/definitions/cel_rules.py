"""The rules in CEL of one schema: their texts, what they compile to, what they may cost.

Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go, schema/cel/compilation.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.definitions.rule_budget import Budget
from knarr.api.structural.rule_paths import field_path
from knarr.api.validation.checks import Errors
from knarr.api.validation.go_values import internal
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_RULE = "apiextensions.v1.ValidationRule"
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_BREAKS = ("\n", "\r")


def check_texts(schema: Object, rules: Sequence[Object], path: str) -> Errors:
    """What is wrong with rules before they are compiled."""
    errors: Errors = []
    for at, rule in enumerate(rules):
        here = f"{path}.x-kubernetes-validations[{at}]"
        _check_message(errors, rule, here)
        expression = rule.get("messageExpression") or ""
        if expression and not expression.strip():
            wrong = "messageExpression must be non-empty if specified"
            errors.append(field.required(f"{here}.messageExpression", wrong))
        if rule.get("reason") is not None and rule["reason"] not in _REASONS:
            errors.append(field.not_supported(f"{here}.reason", rule["reason"], _REASONS))
        if rule.get("fieldPath"):
            _check_path(errors, schema, rule["fieldPath"], f"{here}.fieldPath")
    return errors


def _check_message(errors: Errors, rule: Object, path: str) -> None:
    text, message = rule.get("rule", ""), rule.get("message") or ""
    if not text.strip():
        errors.append(field.required(f"{path}.rule", "rule is not specified"))
    elif message and not message.strip():
        errors.append(field.invalid(f"{path}.message", message, "message must be non-empty if specified"))
    elif _has_breaks(message.strip()):
        errors.append(field.invalid(f"{path}.message", message, "message must not contain line breaks"))
    elif _has_breaks(text.strip()) and not message:
        wrong = "message must be specified if rule contains line breaks"
        errors.append(field.required(f"{path}.message", wrong))


def _check_path(errors: Errors, schema: Object, target: str, path: str) -> None:
    if not target.strip():
        errors.append(field.invalid(path, target, "fieldPath must be non-empty if specified"))
    if _has_breaks(target):
        errors.append(field.invalid(path, target, "fieldPath must not contain line breaks"))
    if field_path(schema, target).problem:
        errors.append(field.invalid(path, target, "fieldPath must be a valid path"))


def _has_breaks(text: str) -> bool:
    return any(char in text for char in _BREAKS)


def check_rules(  # noqa: PLR0913
    schema: Object,
    rules: Sequence[Object],
    path: str,
    budget: Budget,
    times: int | None,
    *,
    whole: bool,
    uncorrelated: str,
) -> Errors:
    """What is wrong with rules about a value that can be there so many times (None: without bound).

    `whole`: the value is an object of its own; `uncorrelated`: the path inside of which there are no old values.
    """
    errors: Errors = []
    checker = _Rules(schema, path, budget, times, whole=whole)
    for at, rule in enumerate(rules):
        here = f"{path}.x-kubernetes-validations[{at}]"
        checker.rule(errors, rule, here)
        asks_old = checker.asks_old(rule)
        if asks_old and uncorrelated:
            wrong = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelated}"
            errors.append(field.invalid(f"{here}.rule", rule["rule"], wrong))
        elif not asks_old and rule.get("optionalOldSelf") is not None:
            wrong = "may not be set if oldSelf is not used in rule"
            errors.append(field.invalid(f"{here}.optionalOldSelf", rule["optionalOldSelf"], wrong))
    return errors


class _Rules:
    """The rules of one schema, compiled."""

    def __init__(self, schema: Object, path: str, budget: Budget, times: int | None, *, whole: bool) -> None:
        # CEL is loaded with the first rule.
        from knarr.api.structural.compiled_rules import RuleTree
        from knarr.api.structural.node import Node

        self._schema, self._path, self._budget, self._times = schema, path, budget, times
        self._tree = RuleTree(Node(schema, embedded=whole))

    def rule(self, errors: Errors, rule: Object, path: str) -> None:
        """The rule itself, then the expression that makes its message."""
        self._expression(errors, rule, path, ("rule", "bool", "cel expression"))
        if rule.get("messageExpression"):
            self._expression(errors, rule, path, ("messageExpression", "string", "messageExpression"))

    def asks_old(self, rule: Object) -> bool:
        """Whether a rule asks for the old value."""
        return self._tree.asks_old(rule)

    def _expression(self, errors: Errors, rule: Object, path: str, about: tuple[str, str, str]) -> None:
        from knarr.api.cel import most_values, problem_error

        name, wanted, subject = about
        here, shown = f"{path}.{name}", internal(_RULE, rule)
        found = self._tree.compiled(rule, name)
        if found.problem:
            errors.append(problem_error(here, shown, found.problem))
        elif found.type not in (wanted, "dyn"):
            errors.append(field.invalid(here, shown, f"{subject} must evaluate to a {wanted}"))
        else:
            often = 1
            if name == "rule":
                often = most_values(self._schema) if self._times is None else self._times
            self._budget.spend(errors, here, name, found.estimate() * often)
