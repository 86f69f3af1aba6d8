"""What managed fields must know of a custom resource: which of its fields have owners of their own.

Source: k8s.io/kube-openapi/pkg/schemaconv/openapi.go; apiextensions-apiserver, controller/openapi/builder.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from knarr.api.codec import metadata_ownership
from knarr.api.codec import ownership as builtin_ownership
from knarr.api.structural.node import Node
from knarr.apimachinery.field_schema import DEDUCED, KEYED, LEAF, MAP, SET, STRUCT, FieldSchema

_TEXT = FieldSchema(LEAF, shape="string")
_HEAD = frozenset({"kind", "apiVersion"})
_SCALARS = {"string": "string", "boolean": "boolean", "integer": "numeric", "number": "numeric"}


def ownership(root: Node) -> FieldSchema:
    """How the fields of a custom resource's objects are owned."""
    return FieldSchema(STRUCT, _extra(root), make_fields=partial(_root_fields, root), hidden=_HEAD, shape="map")


def _root_fields(root: Node) -> Mapping[str, FieldSchema]:
    return {**_fields(root), "apiVersion": _TEXT, "kind": _TEXT, "metadata": metadata_ownership()}


def _fields(node: Node) -> Mapping[str, FieldSchema]:
    found = {name: _of(child) for name in node.properties if (child := node.field(name)) is not None}
    if not node.embedded:
        return found
    template = builtin_ownership("v1", "PodTemplate")
    inner = {} if template is None else template.declared["template"].declared
    head = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": inner.get("metadata", DEDUCED)}
    return {**found, **head}


def _of(node: Node) -> FieldSchema:
    if node.schema.get("x-kubernetes-int-or-string"):
        return FieldSchema(LEAF, shape="scalar")
    if node.type == "object":
        return _object(node)
    if node.type == "array":
        return _list(node)
    if node.type in _SCALARS:
        return FieldSchema(LEAF, shape=_SCALARS[node.type])
    return DEDUCED


def _object(node: Node) -> FieldSchema:
    atomic = node.schema.get("x-kubernetes-map-type") == "atomic"
    if not node.properties and not node.embedded:
        return FieldSchema(LEAF if atomic else MAP, _extra(node), shape="map")
    return FieldSchema(LEAF if atomic else STRUCT, _extra(node), make_fields=partial(_fields, node), shape="map")


def _extra(node: Node) -> FieldSchema | None:
    """The schema of members that are not declared; None where there may be none."""
    if node.preserve:
        return DEDUCED
    given: Any = node.schema.get("additionalProperties")
    if given is None:
        return None if node.properties or node.embedded else DEDUCED
    return None if given is False else DEDUCED if node.extra is None else _of(node.extra)


def _list(node: Node) -> FieldSchema:
    item = DEDUCED if node.items is None else _of(node.items)
    kind, keys = node.schema.get("x-kubernetes-list-type"), tuple(node.schema.get("x-kubernetes-list-map-keys") or ())
    if kind == "set":
        return FieldSchema(SET, item, shape="list")
    if kind != "map" or node.items is None:
        return FieldSchema(LEAF, item, shape="list")
    defaults = {key: child.default for key in keys if (child := node.items.field(key)) and child.default is not None}
    return FieldSchema(KEYED, item, keys, defaults, shape="list")
