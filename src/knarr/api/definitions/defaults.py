"""Defaults of a schema: each fits the schema where it stands, has no unknown fields and breaks no rule.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting/validation.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from knarr.api.structural import FieldFault, causes, embedded, pruning
from knarr.api.structural.node import Node, mentions
from knarr.api.validation.checks import Errors
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_META = frozenset({"apiVersion", "kind", "metadata"})
_HEAD = {"apiVersion": "validation/v1", "kind": "Validation"}
_UNKNOWN = "must not have unknown fields"
_RULES = "x-kubernetes-validations"

#: Puts a value where it stands within an otherwise empty object.
Surround = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Whole:
    """The object that a schema is a part of: its node, how a value gets there, and whether that is in its metadata."""

    node: Node
    around: Surround
    in_meta: bool = False

    def member(self, name: str, *, in_meta: bool) -> _Whole:
        return _Whole(self.node, lambda value: self.around({name: value}), in_meta)

    def item(self) -> _Whole:
        return _Whole(self.node, lambda value: self.around([value]), self.in_meta)


def default_faults(schema: Object, path: str, *, pruned: bool) -> Errors:
    """What is wrong with a root schema's defaults. `pruned`: they may have no unknown fields."""
    errors: Errors = []
    if mentions(schema, "default"):
        root = Node(schema, embedded=True)
        _walk(errors, root, path, _Whole(root, lambda value: value), pruned=pruned)
    return errors


def _walk(errors: Errors, node: Node, path: str, whole: _Whole, *, pruned: bool) -> None:
    if node.embedded:
        whole = _Whole(node, lambda value: value)
    if node.default is not None:
        here = f"{path}.default"
        errors += _in_meta(node, here, whole) if whole.in_meta else _default(node, here, pruned=pruned)
    if node.items is not None:
        _walk(errors, node.items, f"{path}.items", whole.item(), pruned=pruned)
    for name in node.properties:
        child = node.field(name)
        if child is not None:
            in_meta = whole.in_meta or (node.embedded and name in _META)
            below = f"{path}.properties[{name}]"
            _walk(errors, child, below, whole.member(name, in_meta=in_meta), pruned=pruned)


def _default(node: Node, path: str, *, pruned: bool) -> Errors:
    errors: Errors = []
    value = node.default
    if pruned and pruning.prune(_holder(node.schema), {"value": value})[1]:
        errors.append(field.invalid(path, shown(value), _UNKNOWN))
    found = _objects_within(node, value, path)
    if not found:
        found = causes.faults(node, value, prefix=path) + _rules(node, value, path)
    return errors + found


def _holder(schema: Object) -> Node:
    """An object whose field `value` is of a schema."""
    return Node({"type": "object", "properties": {"value": schema}})


def _objects_within(node: Node, value: Any, path: str) -> Errors:
    """What is wrong with the objects within a default, or with one that is an object itself."""
    holder = _holder(node.schema)
    try:
        embedded.coerce(holder, {"value": value})
    except FieldFault as fault:
        return [_moved(fault.error, path)]
    return [_moved(error, path) for error in embedded.faults(holder, {"value": value})]


def _moved(error: field.FieldError, path: str) -> field.FieldError:
    return field.FieldError(error.reason, path + error.field.removeprefix("value"), error.value, error.detail)


def _in_meta(node: Node, path: str, whole: _Whole) -> Errors:
    """A default of a part of metadata: the object that has nothing else must be good."""
    obj = {**_HEAD, **whole.around(node.default)}
    holder = _holder({**whole.node.schema, "x-kubernetes-embedded-resource": True})
    wrong: list[str] = []
    try:
        embedded.coerce(holder, {"value": obj})
    except FieldFault as fault:
        wrong = [str(_moved(fault.error, "")).removeprefix(".")]
    else:
        wrong = [str(_moved(error, "")).removeprefix(".") for error in embedded.faults(holder, {"value": obj})]
    if wrong:
        text = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
        return [field.invalid(path, shown(node.default), f"must result in valid metadata: {text}")]
    return causes.faults(node, node.default, prefix=path)


def _rules(node: Node, value: Any, path: str) -> Errors:
    """The rules that a default breaks, as its own old value."""
    if not node.has_below(_RULES):
        return []
    # CEL is loaded with the first rule.
    from knarr.api.structural.compiled_rules import RuleTree
    from knarr.api.structural.rules import broken_by_default

    return broken_by_default(RuleTree(node), value, path)


def shown(value: Any) -> Any:
    """A value as messages show it: members by their names."""
    if isinstance(value, dict):
        return {name: shown(value[name]) for name in sorted(value)}
    return [shown(item) for item in value] if isinstance(value, list) else value
