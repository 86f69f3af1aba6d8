"""Label selectors, node selectors and tolerations: shapes that many kinds hold."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, items, label_key, texts
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_LIST_OPERATORS = ("In", "NotIn")
_NO_LIST_OPERATORS = ("Exists", "DoesNotExist")
_NEED_VALUES = "must be specified when `operator` is 'In' or 'NotIn'"
_NO_VALUES = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
_OPERATOR_WRONG = "not a valid selector operator"
_FIELD_VALUES = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_EXISTS_WANTED = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'


def check_label_selector(errors: Errors, selector: Object | None, path: str, *, lax_values: bool = False) -> None:
    """A `LabelSelector`; `lax_values` keeps values that stored objects have already."""
    if not selector:
        return
    for key, value in (selector.get("matchLabels") or {}).items():
        label_key(errors, f"{path}.matchLabels", key)
        if not lax_values:
            texts(errors, f"{path}.matchLabels", value, names.label_value(value))
    for at, expression in enumerate(items(selector, "matchExpressions")):
        check_expression(errors, expression, f"{path}.matchExpressions[{at}]", lax_values=lax_values)


def check_expression(errors: Errors, expression: Object, path: str, *, lax_values: bool = False) -> None:
    """One of a label selector's `matchExpressions`."""
    values = items(expression, "values")
    operator = expression.get("operator", "")
    if operator in _LIST_OPERATORS:
        if not values:
            errors.append(field.required(f"{path}.values", _NEED_VALUES))
    elif operator in _NO_LIST_OPERATORS:
        if values:
            errors.append(field.forbidden(f"{path}.values", _NO_VALUES))
    else:
        errors.append(field.invalid(f"{path}.operator", operator, _OPERATOR_WRONG))
    label_key(errors, f"{path}.key", expression.get("key", ""))
    if not lax_values:
        for at, value in enumerate(values):
            texts(errors, f"{path}.values[{at}]", value, names.label_value(value))


def has_invalid_values(selector: Object | None) -> bool:
    """Whether a selector has values that no label can have."""
    if not selector:
        return False
    if any(names.label_value(value) for value in (selector.get("matchLabels") or {}).values()):
        return True
    expressions = items(selector, "matchExpressions")
    return any(names.label_value(value) for item in expressions for value in items(item, "values"))


def check_node_selector(errors: Errors, selector: Object, path: str) -> None:
    """A `NodeSelector`: at least one term."""
    terms = items(selector, "nodeSelectorTerms")
    here = f"{path}.nodeSelectorTerms"
    if not terms:
        errors.append(field.required(here, "must have at least one node selector term"))
        return
    for at, term in enumerate(terms):
        check_node_term(errors, term, f"{here}[{at}]")


def check_node_term(errors: Errors, term: Object, path: str) -> None:
    """One node selector term: expressions on labels and on fields."""
    for at, expression in enumerate(items(term, "matchExpressions")):
        _check_node_expression(errors, expression, f"{path}.matchExpressions[{at}]")
    for at, expression in enumerate(items(term, "matchFields")):
        _check_node_field(errors, expression, f"{path}.matchFields[{at}]")


def _check_node_expression(errors: Errors, expression: Object, path: str) -> None:
    values, operator = items(expression, "values"), expression.get("operator", "")
    if operator in _LIST_OPERATORS:
        if not values:
            errors.append(field.required(f"{path}.values", _NEED_VALUES))
    elif operator in _NO_LIST_OPERATORS:
        if values:
            errors.append(field.forbidden(f"{path}.values", _NO_VALUES))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            wrong = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            errors.append(field.required(f"{path}.values", wrong))
    else:
        errors.append(field.invalid(f"{path}.operator", operator, _OPERATOR_WRONG))
    label_key(errors, f"{path}.key", expression.get("key", ""))
    for at, value in enumerate(values):
        texts(errors, f"{path}.values[{at}]", value, names.label_value(value))


def _check_node_field(errors: Errors, expression: Object, path: str) -> None:
    values, operator = items(expression, "values"), expression.get("operator", "")
    if operator not in _LIST_OPERATORS:
        errors.append(field.invalid(f"{path}.operator", operator, _OPERATOR_WRONG))
    elif len(values) != 1:
        errors.append(field.required(f"{path}.values", _FIELD_VALUES))
    key = expression.get("key", "")
    if key != "metadata.name":
        errors.append(field.invalid(f"{path}.key", key, "not a valid field selector key"))
        return
    for at, value in enumerate(values):
        texts(errors, f"{path}.values[{at}]", value, names.dns_subdomain(value))


def check_tolerations(errors: Errors, tolerations: Sequence[Object], path: str) -> None:
    """A pod's tolerations."""
    for at, toleration in enumerate(tolerations):
        _check_toleration(errors, toleration, f"{path}[{at}]")


def _check_toleration(errors: Errors, toleration: Object, path: str) -> None:
    key, operator, effect = (toleration.get(name, "") for name in ("key", "operator", "effect"))
    if key:
        label_key(errors, f"{path}.key", key)
    if not key and operator != "Exists":
        errors.append(field.invalid(f"{path}.operator", operator, _EXISTS_WANTED))
    if "tolerationSeconds" in toleration and effect != "NoExecute":
        wrong = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(field.invalid(f"{path}.effect", effect, wrong))
    _check_toleration_operator(errors, operator, toleration.get("value", ""), path)
    if effect:
        check_effect(errors, effect, f"{path}.effect", allow_empty=True)


def _check_toleration_operator(errors: Errors, operator: str, value: str, path: str) -> None:
    if operator in ("Equal", ""):
        wrong = "; ".join(names.label_value(value))
        if wrong:
            errors.append(field.invalid(f"{path}.operator", value, wrong))
    elif operator == "Exists":
        if value:
            wrong = "value must be empty when `operator` is 'Exists'"
            errors.append(field.invalid(f"{path}.operator", value, wrong))
    else:
        errors.append(field.not_supported(f"{path}.operator", operator, ("Equal", "Exists")))


def check_effect(errors: Errors, effect: str, path: str, *, allow_empty: bool = False) -> None:
    """A taint's effect."""
    if not effect:
        if not allow_empty:
            errors.append(field.required(path))
    elif effect not in _EFFECTS:
        errors.append(field.not_supported(path, effect, _EFFECTS))


def check_topology_terms(errors: Errors, terms: Sequence[Object], path: str) -> None:
    """A StorageClass's `allowedTopologies`."""
    seen: list[dict[str, frozenset[str]]] = []
    for at, term in enumerate(terms):
        expressions = _topology_term(errors, term, f"{path}[{at}]")
        if not expressions or expressions in seen:
            errors.append(field.duplicate(f"{path}[{at}].matchLabelExpressions", ""))
        seen.append(expressions)


def _topology_term(errors: Errors, term: Object, path: str) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for at, expression in enumerate(items(term, "matchLabelExpressions")):
        here = f"{path}.matchLabelExpressions[{at}]"
        key, values = expression.get("key", ""), items(expression, "values")
        if not values:
            errors.append(field.required(f"{here}.values"))
        for index, value in enumerate(values):
            if value in values[:index]:
                errors.append(field.duplicate(f"{here}.values[{index}]", value))
        label_key(errors, f"{here}.key", key)
        if key in found:
            errors.append(field.duplicate(f"{here}.key", key))
        found[key] = frozenset(values)
    return found
