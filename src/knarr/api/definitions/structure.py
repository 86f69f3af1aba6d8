"""Which schemas are structural: the skeleton says what each value is, junctors (`allOf`, `not`, ...) only restrict it.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema (validation.go, complete.go, convert.go).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.api.validation.checks import Errors
from knarr.apimachinery import field, go_regex
from knarr.apimachinery.types import Object

_ROOT, _ITEM, _FIELD = "at the root", "for specified array items", "for specified object fields"
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_JUNCTORS = ("anyOf", "allOf", "oneOf")
_ORDER = ("not", "allOf", "anyOf", "oneOf")
_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
#: What no schema below a junctor may say, and how that is told.
_FORBIDDEN_BELOW = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "externalDocs": "must be undefined to be structural",
    _PRESERVE: "must be false to be structural",
    _EMBEDDED: "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}
#: Whose mere presence counts.
_BY_PRESENCE = frozenset({"additionalProperties", "default", "externalDocs"})
#: Keywords that make a schema no structural one, before anything else is looked at.
_UNSUPPORTED = {"id": "id", "$schema": "schema", "$ref": "$ref", "patternProperties": "patternProperties"} | {
    name: name for name in ("dependencies", "additionalItems", "definitions")
}
_METADATA_ALONE = "must not specify anything other than name and generateName, but metadata is implicitly specified"
_NO_PROPERTIES = (
    "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
)


def unsupported(schema: Object) -> str:
    """What keeps a schema from being read as a structural one at all; empty when nothing does."""
    waiting = [schema]
    while waiting:
        one = waiting.pop()
        for name, shown in _UNSUPPORTED.items():
            if one.get(name) not in (None, "", {}):
                return f"OpenAPIV3Schema '{shown}' is not supported"
        if one.get(_PRESERVE) is False:
            return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined"
        if isinstance(one.get("items"), list) and one["items"]:
            return "OpenAPIV3Schema 'items' must be a schema, but is an array"
        waiting.extend(below(one))
    return ""


def below(schema: Object) -> Iterator[Object]:
    """All schemas right below one."""
    yield from (schema.get("properties") or {}).values()
    for name in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(name), dict):
            yield schema[name]
    for name in _JUNCTORS:
        yield from schema.get(name) or ()


def structural_faults(schema: Object, path: str) -> Errors:
    """What keeps a schema from being structural, sorted by its text."""
    errors: Errors = []
    _skeleton(errors, schema, _ROOT, path)
    _complete(errors, schema, schema, path, path)
    return sorted(errors, key=str)


def _skeleton(errors: Errors, schema: Object, level: str, path: str) -> None:
    items, extra = schema.get("items"), schema.get("additionalProperties")
    if schema.get("type") == "array" and items is None:
        errors.append(field.required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        _skeleton(errors, items, _ITEM, f"{path}.items")
    for name, inner in (schema.get("properties") or {}).items():
        _skeleton(errors, inner, _FIELD, f"{path}.properties[{name}]")
    if extra is not None and level == _ROOT:
        errors.append(field.forbidden(f"{path}.additionalProperties", "must not be used at the root"))
    if isinstance(extra, dict):
        _skeleton(errors, extra, _FIELD, f"{path}.additionalProperties")
    _extensions(errors, schema, path)
    any_of, all_of = schema.get("anyOf"), schema.get("allOf") or []
    first = any(inner.get("anyOf") == _INT_OR_STRING for inner in all_of[:1])
    _restrictions(errors, schema, path, skip_any=any_of == _INT_OR_STRING, skip_first=first)
    _types(errors, schema, level, path)
    _metadata(errors, schema, level, path)


def _extensions(errors: Errors, schema: Object, path: str) -> None:
    if schema.get("x-kubernetes-int-or-string"):
        for name in (_PRESERVE, _EMBEDDED):
            if schema.get(name):
                wrong = "must be false if x-kubernetes-int-or-string is true"
                errors.append(field.invalid(f"{path}.{name}", True, wrong))
    if not schema.get(_EMBEDDED):
        return
    if schema.get("additionalProperties") is not None:
        wrong = "must not be used if x-kubernetes-embedded-resource is set"
        errors.append(field.forbidden(f"{path}.additionalProperties", wrong))
    if not schema.get(_PRESERVE) and not schema.get("properties"):
        errors.append(field.required(f"{path}.properties", _NO_PROPERTIES))


def _types(errors: Errors, schema: Object, level: str, path: str) -> None:
    kind, here = schema.get("type") or "", f"{path}.type"
    if schema.get(_EMBEDDED) and kind != "object":
        wrong = "must be object if x-kubernetes-embedded-resource is true"
        errors.append(field.invalid(here, kind, wrong) if kind else field.required(here, wrong))
    elif not kind and not schema.get("x-kubernetes-int-or-string") and not schema.get(_PRESERVE):
        errors.append(field.required(here, f"must not be empty {level}"))
    if level == _ROOT and kind and kind != "object":
        errors.append(field.invalid(here, kind, "must be object at the root"))


def _metadata(errors: Errors, schema: Object, level: str, path: str) -> None:
    """What is said of an object's own kind, version and metadata."""
    properties = schema.get("properties") or {}
    whole = level == _ROOT or bool(schema.get(_EMBEDDED))
    for name in ("kind", "apiVersion"):
        if whole and name in properties and properties[name].get("type", "") != "string":
            given = properties[name].get("type", "")
            errors.append(field.invalid(f"{path}.properties[{name}].type", given, "must be string"))
    metadata, here = properties.get("metadata"), f"{path}.properties[metadata]"
    if metadata is None:
        return
    if whole and metadata.get("type", "") != "object":
        errors.append(field.invalid(f"{here}.type", metadata.get("type", ""), "must be object"))
    if level == _ROOT and not _restricts_names_alone(metadata):
        errors.append(field.forbidden(here, _METADATA_ALONE))


def _restricts_names_alone(metadata: Object) -> bool:
    if set(metadata.get("properties") or ()) - {"name", "generateName"}:
        return False
    return not any(value for name, value in metadata.items() if name not in ("type", "default", "properties"))


def _restrictions(errors: Errors, schema: Object, path: str, *, skip_any: bool, skip_first: bool = False) -> None:
    """What stands below a schema's junctors. An integer or a string may be told so in one way."""
    for at, inner in enumerate(() if skip_any else schema.get("anyOf") or ()):
        _restriction(errors, inner, f"{path}.anyOf[{at}]")
    for at, inner in enumerate(schema.get("allOf") or ()):
        _restriction(errors, inner, f"{path}.allOf[{at}]", skip_any=skip_first and at == 0)
    for at, inner in enumerate(schema.get("oneOf") or ()):
        _restriction(errors, inner, f"{path}.oneOf[{at}]")
    if schema.get("not") is not None:
        _restriction(errors, schema["not"], f"{path}.not")
    pattern = schema.get("pattern")
    problem = go_regex.problem(pattern) if pattern else ""
    if problem:
        wrong = f"must be a valid regular expression, but isn't: {problem}"
        errors.append(field.invalid(f"{path}.pattern", pattern, wrong))


def _restriction(errors: Errors, schema: Object, path: str, *, skip_any: bool = False) -> None:
    _restrictions(errors, schema, path, skip_any=skip_any)
    if isinstance(schema.get("items"), dict):
        _restriction(errors, schema["items"], f"{path}.items")
    for name, inner in (schema.get("properties") or {}).items():
        _restriction(errors, inner, f"{path}.properties[{name}]")
    for name, wrong in _FORBIDDEN_BELOW.items():
        value = schema.get(name)
        if value if name not in _BY_PRESENCE else value is not None:
            errors.append(field.forbidden(f"{path}.{name}", wrong))
    if "metadata" in (schema.get("properties") or {}):
        wrong = "must not be specified in a nested context"
        errors.append(field.forbidden(f"{path}.properties[metadata]", wrong))


def _complete(errors: Errors, schema: Object, skeleton: Object | None, here: str, path: str) -> None:
    """What the root's junctors name must be there outside of them too."""
    for name in _ORDER:
        given: Any = schema.get(name)
        if name == "not":
            if given is not None:
                _complete_below(errors, given, skeleton, here, f"{path}.not")
            continue
        for at, inner in enumerate(given or ()):
            _complete_below(errors, inner, skeleton, here, f"{path}.{name}[{at}]")


def _complete_below(errors: Errors, schema: Object, skeleton: Object | None, here: str, path: str) -> None:
    if skeleton is None:
        errors.append(field.required(here, f"because it is defined in {path}"))
        return
    _complete(errors, schema, skeleton, here, path)
    if isinstance(schema.get("items"), dict):
        known = skeleton.get("items")
        inner = known if isinstance(known, dict) else None
        _complete_below(errors, schema["items"], inner, f"{here}.items", f"{path}.items")
    for name, inner in (schema.get("properties") or {}).items():
        step = f".properties[{name}]"
        _complete_below(errors, inner, (skeleton.get("properties") or {}).get(name), here + step, path + step)
