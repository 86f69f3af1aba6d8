"""The schemas of custom resources: which ones are structural. Defaults, patterns' meaning and CEL are judged elsewhere.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.api.validation.checks import Errors
from knarr.api.validation.go_values import internal
from knarr.api.validation.regexes import go_problem
from knarr.api.validation.rule_budget import Budget, within
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_LIST_TYPES = ("atomic", "set", "map")
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_STRUCTURAL = ("type", "title", "description", "nullable")
#: What JSON schemas have and Kubernetes does not support.
_FORBIDDEN = {
    name: name for name in ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
}
_OPEN = ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")
_OBJECT_FIELDS = "must not be empty for specified object fields"
_QUADRATIC = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"


def check_root(errors: Errors, schema: Object, path: str) -> None:
    """The schema of one version: structure, defaults, and that it uses only what is supported."""
    before = len(errors)
    _check_structure(errors, schema, path)
    kind = schema.get("type", "")
    if not kind:
        errors.append(field.required(f"{path}.type", "must not be empty at the root"))
    elif kind != "object":
        errors.append(field.invalid(f"{path}.type", kind, "must be object at the root"))
    if len(errors) == before:
        _check_defaults(errors, schema, path)
    budget = Budget()
    _check_supported(errors, schema, path, budget, 1)
    budget.check(errors, path)


def _inner(schema: Object, path: str) -> Iterator[tuple[Object, str, str]]:
    """The schemas of values inside: each with its path, and what is said when it has no type."""
    for name, inner in (schema.get("properties") or {}).items():
        yield inner, f"{path}.properties[{name}]", _OBJECT_FIELDS
    items, extra = schema.get("items"), schema.get("additionalProperties")
    if isinstance(items, dict):
        yield items, f"{path}.items", "must not be empty for specified array items"
    if isinstance(extra, dict):
        yield extra, f"{path}.additionalProperties", _OBJECT_FIELDS


def _check_structure(errors: Errors, schema: Object, path: str) -> None:
    """The schema's skeleton: each value has a type, and says it where it stands."""
    for inner, here, untyped in _inner(schema, path):
        _check_structure(errors, inner, here)
        if not inner.get("type") and not any(inner.get(name) for name in _OPEN):
            errors.append(field.required(f"{here}.type", untyped))
    if schema.get("type") == "array" and schema.get("items") is None:
        errors.append(field.required(f"{path}.items", "must be specified"))
    if schema.get("x-kubernetes-embedded-resource"):
        _check_embedded(errors, schema, path)
    _check_junctors(errors, schema, path)


def _check_embedded(errors: Errors, schema: Object, path: str) -> None:
    kind, wrong = schema.get("type", ""), "must be object if x-kubernetes-embedded-resource is true"
    if not kind:
        errors.append(field.required(f"{path}.type", wrong))
    elif kind != "object":
        errors.append(field.invalid(f"{path}.type", kind, wrong))
    if schema.get("additionalProperties") is not None:
        forbidden = "must not be used if x-kubernetes-embedded-resource is set"
        errors.append(field.forbidden(f"{path}.additionalProperties", forbidden))
    if not schema.get("x-kubernetes-preserve-unknown-fields") and not schema.get("properties"):
        missing = "must not be empty if x-kubernetes-embedded-resource is true without"
        errors.append(field.required(f"{path}.properties", f"{missing} x-kubernetes-preserve-unknown-fields"))


def _check_junctors(errors: Errors, schema: Object, path: str) -> None:
    for name in _JUNCTORS:
        for at, inner in enumerate(schema.get(name) or ()):
            _check_value_validation(errors, inner, f"{path}.{name}[{at}]")
    if schema.get("not") is not None:
        _check_value_validation(errors, schema["not"], f"{path}.not")


def _check_defaults(errors: Errors, schema: Object, path: str) -> None:
    if schema.get("default") is not None:
        _check_default(errors, schema, schema.get("type", ""), f"{path}.default")
    for inner, here, _ in _inner(schema, path):
        _check_defaults(errors, inner, here)


def _check_supported(errors: Errors, schema: Object, path: str, budget: Budget, times: int | None) -> None:
    kind = schema.get("type", "")
    for name, sentence in _FORBIDDEN.items():
        if schema.get(name):
            errors.append(field.forbidden(f"{path}.{name}", f"{sentence} is not supported"))
    if kind == "null":
        errors.append(field.forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative"))
    elif kind and kind not in _TYPES:
        errors.append(field.not_supported(f"{path}.type", kind, _TYPES))
    if isinstance(schema.get("items"), list):
        errors.append(field.forbidden(f"{path}.items", "items must be a schema object and not an array"))
    pattern = schema.get("pattern")
    problem = go_problem(pattern) if pattern else ""
    if problem:
        wrong = f"must be a valid regular expression, but isn't: {problem}"
        errors.append(field.invalid(f"{path}.pattern", pattern, wrong))
    if schema.get("uniqueItems"):
        errors.append(field.forbidden(f"{path}.uniqueItems", _QUADRATIC))
    if schema.get("additionalProperties") is not None and schema.get("properties"):
        wrong = "additionalProperties and properties are mutual exclusive"
        errors.append(field.forbidden(f"{path}.additionalProperties", wrong))
    for inner, here, _ in _inner(schema, path):
        _check_supported(errors, inner, here, budget, within(schema, times))
    _check_extensions(errors, schema, path, budget, times)


def _check_default(errors: Errors, schema: Object, kind: str, path: str) -> None:
    """A default's own type and enumeration; what is below it is judged with the objects."""
    value = schema["default"]
    actual = _type_of(value)
    fits = actual == kind or (kind == "number" and actual == "integer")
    if kind and not fits:
        detail = f' in body must be of type {kind}: "{actual}"'
        errors.append(field.type_invalid(path, actual, detail))
        return
    known = schema.get("enum")
    if known and value not in known:
        errors.append(
            field.not_supported(path, value, [text if isinstance(text, str) else str(text) for text in known])
        )


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", str: "string", int: "integer", float: "number"}
    return names.get(type(value), "null")


def selectable_problem(schema: Object, target: str) -> str:
    """What keeps a JSON path from being a selectable field of objects of this schema; empty when nothing does."""
    if target[:1] not in (".", "["):
        return f"is an invalid path: expected [ or . but got: {target}"
    found: Any = schema
    for part in target[1:].split("."):
        found = (found.get("properties") or {}).get(part) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return "is an invalid path: does not refer to a valid field"
    if found.get("type") not in ("string", "boolean", "integer"):
        kinds = "string, boolean or integer. Enum string fields and strings with formats are allowed."
        return f"must point to a field of type {kinds}"
    return ""


def _check_value_validation(errors: Errors, schema: Object, path: str) -> None:
    """Below a junctor nothing may say what a value is, only restrict it."""
    for name in _STRUCTURAL:
        if schema.get(name):
            errors.append(field.forbidden(f"{path}.{name}", "must be empty to be structural"))
    for name, inner in (schema.get("properties") or {}).items():
        _check_value_validation(errors, inner, f"{path}.properties[{name}]")
    if isinstance(schema.get("items"), dict):
        _check_value_validation(errors, schema["items"], f"{path}.items")


def _check_extensions(errors: Errors, schema: Object, path: str, budget: Budget, times: int | None) -> None:
    for at, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        if not rule.get("rule", "").strip():
            errors.append(field.required(f"{path}.x-kubernetes-validations[{at}].rule", "rule is not specified"))
        else:
            _check_rule(errors, schema, rule, f"{path}.x-kubernetes-validations[{at}]", budget, times)
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        here = f"{path}.x-kubernetes-preserve-unknown-fields"
        errors.append(field.invalid(here, False, "must be true or undefined"))
    listed = schema.get("x-kubernetes-list-type")
    if listed is not None:
        _check_list(errors, schema, listed, path)


def _check_rule(errors: Errors, schema: Object, rule: Object, path: str, budget: Budget, times: int | None) -> None:
    """A rule in CEL about the value (there so many times), and the expression that makes its message."""
    from knarr.api.cel import most_values, program, schema_environment

    # The schema as a whole is that of objects, which have a name and a kind whether it says so or not.
    whole = ".properties[" not in path and schema.get("type") == "object" and times == 1
    root, optional = whole or bool(schema.get("x-kubernetes-embedded-resource")), bool(rule.get("optionalOldSelf"))
    environment = schema_environment(schema, root=root, optional_old=optional)
    shown = internal("apiextensions.v1.ValidationRule", rule)
    for name, wanted in (("rule", "bool"), ("messageExpression", "string")):
        text = rule.get(name, "")
        if not text:
            continue
        found, subject = program(text, environment), "cel expression" if name == "rule" else name
        if found.problem:
            errors.append(field.invalid(f"{path}.{name}", shown, found.problem))
        elif found.type not in (wanted, "dyn"):
            errors.append(field.invalid(f"{path}.{name}", shown, f"{subject} must evaluate to a {wanted}"))
        else:
            often = 1 if name != "rule" else most_values(schema) if times is None else times
            budget.spend(errors, f"{path}.{name}", name, found.estimate() * often)


def _check_list(errors: Errors, schema: Object, listed: str, path: str) -> None:
    kind, items = schema.get("type", ""), schema.get("items")
    if kind != "array":
        wrong = "must be array if x-kubernetes-list-type is specified"
        if not kind:
            errors.append(field.required(f"{path}.type", wrong))
        else:
            errors.append(field.invalid(f"{path}.type", kind, wrong))
    if listed not in _LIST_TYPES:
        errors.append(field.not_supported(f"{path}.x-kubernetes-list-type", listed, _LIST_TYPES))
    if listed == "map":
        _check_map_list(errors, schema, items, path)
    elif listed == "set" and isinstance(items, dict):
        _check_set_item(errors, items, f"{path}.items")


def _check_set_item(errors: Errors, item: Object, path: str) -> None:
    if item.get("type") == "object" and item.get("x-kubernetes-map-type") != "atomic":
        shown = item.get("x-kubernetes-map-type")
        wrong = "must be atomic as item of a list with x-kubernetes-list-type=set"
        errors.append(field.invalid(f"{path}.x-kubernetes-map-type", shown, wrong))


def _check_map_list(errors: Errors, schema: Object, item: Any, path: str) -> None:
    keys, here = schema.get("x-kubernetes-list-map-keys") or [], f"{path}.x-kubernetes-list-map-keys"
    if not isinstance(item, dict):
        wrong = "must have a schema if x-kubernetes-list-type is map"
        errors.append(field.required(f"{path}.items", wrong))
        item = None
    elif item.get("type") != "object":
        wrong = "must be object if parent array's x-kubernetes-list-type is map"
        errors.append(field.invalid(f"{path}.items.type", item.get("type", ""), wrong))
    if not keys:
        errors.append(field.required(here, "must not be empty if x-kubernetes-list-type is map"))
        return
    known = (item or {}).get("properties") or {}
    if item is not None and item.get("type") == "object" and any(key not in known for key in keys):
        errors.append(field.invalid(here, keys, "entries must all be names of item properties"))
    if len(set(keys)) != len(keys):
        errors.append(field.invalid(here, keys, "must not contain duplicate entries"))
    for key in keys:
        if key in known and known[key].get("default") is None and key not in ((item or {}).get("required") or ()):
            wrong = (
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            )
            errors.append(field.required(f"{path}.items.properties[{key}].default", wrong))
