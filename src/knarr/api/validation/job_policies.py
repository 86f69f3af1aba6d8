"""A Job's success and failure policies."""

from __future__ import annotations

from knarr.api.validation.checks import Errors, items, label_key, not_negative
from knarr.api.validation.go_values import internal
from knarr.api.validation.job_indexes import parse_indexes
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_MAX_RULES, _MAX_VALUES, _MAX_INDEXES = 20, 255, 64 * 1024


def check_success_policy(errors: Errors, spec: Object, path: str) -> None:
    """`successPolicy`: for indexed Jobs."""
    policy = spec.get("successPolicy")
    if policy is None:
        return
    here = f"{path}.successPolicy"
    if spec.get("completionMode") != "Indexed":
        shown = internal("batch.v1.SuccessPolicy", policy)
        errors.append(field.invalid(here, shown, "requires indexed completion mode"))
        return
    rules = items(policy, "rules")
    if not rules:
        wrong = "at least one rules must be specified when the successPolicy is specified"
        errors.append(field.required(f"{here}.rules", wrong))
    if len(rules) > _MAX_RULES:
        errors.append(field.too_many(f"{here}.rules", len(rules), _MAX_RULES))
    for at, rule in enumerate(rules):
        _check_success_rule(errors, rule, spec.get("completions") or 0, f"{here}.rules[{at}]")


def _check_success_rule(errors: Errors, rule: Object, completions: int, path: str) -> None:
    count, listed = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and listed is None:
        wrong = "at least one of succeededCount or succeededIndexes must be specified"
        errors.append(field.required(path, wrong))
    total = 0
    if listed is not None:
        if len(listed.encode()) > _MAX_INDEXES:
            errors.append(field.too_long(f"{path}.succeededIndexes", _MAX_INDEXES))
        total, wrong = parse_indexes(listed, completions)
        if wrong:
            wrong = f"error parsing succeededIndexes: {wrong}"
            errors.append(field.invalid(f"{path}.succeededIndexes", listed, wrong))
    if count is None:
        return
    here = f"{path}.succeededCount"
    not_negative(errors, here, count)
    if count > completions:
        wrong = f"must be less than or equal to {completions} (the number of specified completions)"
        errors.append(field.invalid(here, count, wrong))
    if listed is not None and count > total:
        wrong = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        errors.append(field.invalid(here, count, wrong))


def check_failure_policy(errors: Errors, spec: Object, path: str) -> None:
    """`podFailurePolicy`."""
    policy = spec.get("podFailurePolicy")
    if policy is None:
        return
    rules, here = items(policy, "rules"), f"{path}.podFailurePolicy.rules"
    if len(rules) > _MAX_RULES:
        errors.append(field.too_many(here, len(rules), _MAX_RULES))
    pod = (spec.get("template") or {}).get("spec") or {}
    known = {c.get("name", "") for kind in ("containers", "initContainers") for c in items(pod, kind)}
    for at, rule in enumerate(rules):
        _check_failure_rule(errors, rule, spec, known, f"{here}[{at}]")


def _check_failure_rule(errors: Errors, rule: Object, spec: Object, known: set[str], path: str) -> None:
    action = rule.get("action", "")
    if not action:
        listed = " ".join(f'"{name}"' for name in _ACTIONS)
        errors.append(field.required(f"{path}.action", f"valid values: [{listed}]"))
    elif action not in _ACTIONS:
        errors.append(field.not_supported(f"{path}.action", action, _ACTIONS))
    elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        errors.append(field.invalid(f"{path}.action", action, "requires the backoffLimitPerIndex to be set"))
    codes, conditions = rule.get("onExitCodes"), items(rule, "onPodConditions")
    if codes is not None:
        _check_codes(errors, codes, known, f"{path}.onExitCodes")
    if len(conditions) > _MAX_RULES:
        errors.append(field.too_many(f"{path}.onPodConditions", len(conditions), _MAX_RULES))
    for at, condition in enumerate(conditions):
        _check_condition(errors, condition, f"{path}.onPodConditions[{at}]")
    if codes is not None and conditions:
        wrong = "specifying both OnExitCodes and OnPodConditions is not supported"
        errors.append(field.invalid(path, field.OMITTED, wrong))
    if codes is None and not conditions:
        wrong = "specifying one of OnExitCodes and OnPodConditions is required"
        errors.append(field.invalid(path, field.OMITTED, wrong))


def _check_codes(errors: Errors, codes: Object, known: set[str], path: str) -> None:
    operator, values = codes.get("operator", ""), list(items(codes, "values"))
    if not operator:
        errors.append(field.required(f"{path}.operator", 'valid values: ["In" "NotIn"]'))
    elif operator not in _OPERATORS:
        errors.append(field.not_supported(f"{path}.operator", operator, _OPERATORS))
    container = codes.get("containerName")
    if container is not None and container not in known:
        wrong = "must be one of the container or initContainer names in the pod template"
        errors.append(field.invalid(f"{path}.containerName", container, wrong))
    here = f"{path}.values"
    if not values:
        errors.append(field.invalid(here, codes.get("values"), "at least one value is required"))
    elif len(values) > _MAX_VALUES:
        errors.append(field.too_many(here, len(values), _MAX_VALUES))
    for at, value in enumerate(values):
        if operator == "In" and value == 0:
            errors.append(field.invalid(f"{here}[{at}]", value, "must not be 0 for the In operator"))
        if value in values[:at]:
            errors.append(field.duplicate(f"{here}[{at}]", value))
    if values != sorted(values):
        errors.append(field.invalid(here, values, "must be ordered"))


def _check_condition(errors: Errors, condition: Object, path: str) -> None:
    label_key(errors, f"{path}.type", condition.get("type", ""))
    status = condition.get("status", "")
    if not status:
        errors.append(field.required(f"{path}.status", 'valid values: ["False" "True" "Unknown"]'))
    elif status not in ("False", "True", "Unknown"):
        errors.append(field.not_supported(f"{path}.status", status, ("False", "True", "Unknown")))
