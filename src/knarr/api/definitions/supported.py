"""What Kubernetes supports of JSON schemas, and how its own keywords go together. Then the rules in CEL.

Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from knarr.api.definitions.cel_rules import check_rules, check_texts
from knarr.api.definitions.rule_budget import Budget, within
from knarr.api.validation.checks import Errors
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_LIST_TYPES = ("atomic", "set", "map")
_MAP_TYPES = ("atomic", "granular")
_META = ("apiVersion", "kind", "metadata")
_JUNCTORS = ("allOf", "oneOf", "anyOf")
_EMBEDDED = "x-kubernetes-embedded-resource"
_LISTED, _MAPPED, _KEYS = "x-kubernetes-list-type", "x-kubernetes-map-type", "x-kubernetes-list-map-keys"
#: Keywords of JSON schemas that are not supported; those of the second row where they are there at all.
_UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_BY_PRESENCE = frozenset({"additionalItems", "dependencies"})
_QUADRATIC = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
_ATOMIC = "must be atomic as item of a list with x-kubernetes-list-type=set"
_KEY_NEEDED = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
_KEY_NULL = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
_IN_META_EXTRA = "inside additionalProperties applying to object metadata"


@dataclass(frozen=True, slots=True)
class Context:
    """Where a schema stands.

    `no_defaults` says why it may have none; `uncorrelated` is the path of the outermost schema inside of which values
    cannot be told from old ones; `times` how often a value can be there (None: without bound); `rules` whether rules
    are looked at.
    """

    path: str
    rules: bool = True
    root: bool = True
    in_meta: bool = False
    no_defaults: str = ""
    uncorrelated: str = ""
    times: int | None = 1

    def inside(self, step: str, **changes: Any) -> Context:
        """The context of a schema right below."""
        return replace(self, path=f"{self.path}{step}", root=False, **changes)


class Supported:
    """The checks of one schema and all below it. `budget` has what its rules may cost."""

    def __init__(self, sets: bool, keys: bool, types: bool, costs: bool) -> None:  # noqa: FBT001
        self.budget = Budget(lenient=costs)
        self._sets, self._keys, self._types = sets, keys, types

    def check(self, schema: Object, context: Context) -> Errors:
        """The errors of schemas, then those of rules in CEL."""
        schema_errors, rule_errors = self._check(schema, context)
        return schema_errors + rule_errors

    @staticmethod
    def has_unknown_type(schema: Object) -> bool:
        """Whether a schema names a type that there is not."""
        return bool(schema.get("type")) and schema["type"] not in _TYPES

    def _check(self, schema: Object, context: Context) -> tuple[Errors, Errors]:
        errors, rule_errors = self._own(schema, context), Errors()
        for inner, below in self._below(schema, context):
            found, rules = self._check(inner, below)
            errors += found
            rule_errors += rules
        errors += self._keywords(schema, context.path)
        given = schema.get("x-kubernetes-validations") or ()
        if given:
            errors += check_texts(schema, given, context.path)
            if not errors and context.rules:
                whole = context.root or bool(schema.get(_EMBEDDED))
                uncorrelated = context.uncorrelated
                rule_errors += check_rules(
                    schema, given, context.path, self.budget, context.times, whole=whole, uncorrelated=uncorrelated
                )
        return errors, rule_errors

    def _own(self, schema: Object, context: Context) -> Errors:
        """What may not be said at all."""
        errors: Errors = []
        path, kind = context.path, schema.get("type") or ""
        if self.has_unknown_type(schema) and not self._types:
            errors.append(field.not_supported(f"{path}.type", kind, _TYPES))
        if schema.get("default") is not None and context.no_defaults:
            errors.append(field.forbidden(f"{path}.default", f"must not be set {context.no_defaults}"))
        for name in _UNSUPPORTED:
            if schema.get(name) is not None if name in _BY_PRESENCE else schema.get(name):
                errors.append(field.forbidden(f"{path}.{name}", f"{name} is not supported"))
        if kind == "null":
            wrong = "type cannot be set to null, use nullable as an alternative"
            errors.append(field.forbidden(f"{path}.type", wrong))
        if isinstance(schema.get("items"), list) and schema["items"]:
            errors.append(field.forbidden(f"{path}.items", "items must be a schema object and not an array"))
        if context.in_meta and schema.get(_EMBEDDED):
            wrong = "must not be used inside of resource meta"
            errors.append(field.forbidden(f"{path}.{_EMBEDDED}", wrong))
        if schema.get("uniqueItems"):
            errors.append(field.forbidden(f"{path}.uniqueItems", _QUADRATIC))
        extra = schema.get("additionalProperties")
        if extra is not None and extra is not True and schema.get("properties"):
            wrong = "additionalProperties and properties are mutual exclusive"
            errors.append(field.forbidden(f"{path}.additionalProperties", wrong))
        return errors

    def _below(self, schema: Object, context: Context) -> Iterator[tuple[Object, Context]]:
        times = within(schema, context.times)
        extra, items = schema.get("additionalProperties"), schema.get("items")
        if isinstance(extra, dict):
            reason = _IN_META_EXTRA if context.in_meta else context.no_defaults
            yield extra, context.inside(".additionalProperties", no_defaults=reason, times=times)
        lost = context.uncorrelated or context.path
        members = lost if schema.get(_MAPPED) == "atomic" else context.uncorrelated
        for name, inner in (schema.get("properties") or {}).items():
            below = context.inside(f".properties[{name}]", uncorrelated=members, times=times)
            if (context.root or schema.get(_EMBEDDED)) and name in _META:
                reason = f"in top-level {name}" if context.root else context.no_defaults
                below = replace(below, in_meta=True, no_defaults=reason)
            yield inner, below
        if isinstance(schema.get("not"), dict):
            yield schema["not"], context.inside(".not", rules=False)
        for junctor in _JUNCTORS:
            for at, inner in enumerate(schema.get(junctor) or ()):
                yield inner, context.inside(f".{junctor}[{at}]", rules=False)
        each = context.uncorrelated if schema.get(_LISTED) == "map" else lost
        if isinstance(items, dict):
            yield items, context.inside(".items", uncorrelated=each, times=times)

    def _keywords(self, schema: Object, path: str) -> Errors:
        """Kubernetes' own keywords."""
        errors: Errors = []
        if schema.get("x-kubernetes-preserve-unknown-fields") is False:
            here = f"{path}.x-kubernetes-preserve-unknown-fields"
            errors.append(field.invalid(here, False, "must be true or undefined"))
        self._map_type(errors, schema, path)
        self._list_type(errors, schema, path)
        if schema.get(_KEYS) and schema.get(_LISTED) != "map":
            here, wrong = f"{path}.{_LISTED}", "must be map if x-kubernetes-list-map-keys is non-empty"
            listed = schema.get(_LISTED)
            errors.append(field.required(here, wrong) if listed is None else field.invalid(here, listed, wrong))
        if schema.get(_LISTED) == "map":
            _keyed_list(errors, schema, path)
        if not self._keys:
            errors += broken_keys(schema, path)
        return errors

    @staticmethod
    def _map_type(errors: Errors, schema: Object, path: str) -> None:
        mapped, kind = schema.get(_MAPPED), schema.get("type") or ""
        if mapped is None:
            return
        if kind != "object":
            wrong = "must be object if x-kubernetes-map-type is specified"
            here = f"{path}.type"
            errors.append(field.invalid(here, kind, wrong) if kind else field.required(here, wrong))
        if mapped not in _MAP_TYPES:
            errors.append(field.not_supported(f"{path}.{_MAPPED}", mapped, _MAP_TYPES))

    def _list_type(self, errors: Errors, schema: Object, path: str) -> None:
        listed, kind = schema.get(_LISTED), schema.get("type") or ""
        if listed is None:
            return
        if kind != "array":
            wrong = "must be array if x-kubernetes-list-type is specified"
            here = f"{path}.type"
            errors.append(field.invalid(here, kind, wrong) if kind else field.required(here, wrong))
        elif not self._sets and has_open_set(schema):
            item = schema["items"]
            name = _LISTED if item.get("type") == "array" else _MAPPED
            errors.append(field.invalid(f"{path}.items.{name}", item.get(_LISTED), _ATOMIC))
        if listed not in _LIST_TYPES:
            errors.append(field.not_supported(f"{path}.{_LISTED}", listed, _LIST_TYPES))


def has_open_set(schema: Object) -> bool:
    """Whether a schema is a set of items that have owners inside."""
    item = schema.get("items")
    if schema.get(_LISTED) != "set" or not isinstance(item, dict):
        return False
    if item.get("type") == "array":
        return item.get(_LISTED) not in (None, "atomic")
    return item.get("type") == "object" and item.get(_MAPPED) != "atomic"


def _keyed_list(errors: Errors, schema: Object, path: str) -> None:
    keys, item, here = schema.get(_KEYS) or [], schema.get("items"), f"{path}.{_KEYS}"
    if not keys:
        errors.append(field.required(here, "must not be empty if x-kubernetes-list-type is map"))
    if item is None:
        errors.append(field.required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map"))
        return
    if not isinstance(item, dict):
        wrong = "must only have a single schema if x-kubernetes-list-type is map"
        errors.append(field.invalid(f"{path}.items", item, wrong))
        return
    if item.get("type") != "object":
        wrong = "must be object if parent array's x-kubernetes-list-type is map"
        errors.append(field.invalid(f"{path}.items.type", item.get("type") or "", wrong))
        return
    known = item.get("properties") or {}
    for at, key in enumerate(keys):
        if key not in known:
            errors.append(field.invalid(here, keys, "entries must all be names of item properties"))
        elif known[key].get("type") in ("array", "object"):
            wrong = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            errors.append(field.invalid(f"{path}.items.properties[{key}].type", item["type"], wrong))
        if key in keys[:at]:
            errors.append(field.invalid(here, keys, "must not contain duplicate entries"))


def broken_keys(schema: Object, path: str) -> Errors:
    """Keys that an item may lack or have as null, items of sets and keyed lists that may be null."""
    errors: Errors = []
    item, listed = schema.get("items"), schema.get(_LISTED)
    if listed not in ("set", "map") or not isinstance(item, dict):
        return errors
    if item.get("nullable"):
        wrong = f"cannot be nullable when x-kubernetes-list-type is {listed}"
        errors.append(field.forbidden(f"{path}.items.nullable", wrong))
    known, needed = item.get("properties") or {}, item.get("required") or ()
    for key in schema.get(_KEYS) or () if listed == "map" else ():
        if key not in known:
            continue
        if key not in needed and known[key].get("default") is None:
            errors.append(field.required(f"{path}.items.properties[{key}].default", _KEY_NEEDED))
        if known[key].get("nullable"):
            errors.append(field.forbidden(f"{path}.items.properties[{key}].nullable", _KEY_NULL))
    return errors
