"""The types of custom resources in documents: a definition's schema with what every object has.

Source: k8s.io/apiextensions-apiserver/pkg/controller/openapi (builder) and pkg/apiserver/schema (ToKubeOpenAPI,
ToStructuralOpenAPIV2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from knarr.api.resources import Resource

Schema = dict[str, Any]
#: What types of custom resources are called among those of tables: a slash, then the name in documents.
MARK = "/"
#: What they refer to.
REFERENCES = ("meta.v1.ListMeta", "meta.v1.ObjectMeta")
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_CONVENTIONS = "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_HEAD = {
    "apiVersion": {
        "description": "APIVersion defines the versioned schema of this representation of an object. Servers should "
        "convert recognized schemas to the latest internal value, and may reject unrecognized values. "
        f"{_CONVENTIONS}#resources",
        "type": "string",
    },
    "kind": {
        "description": "Kind is a string value representing the REST resource this object represents. Servers may "
        f"infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. {_CONVENTIONS}"
        "#types-kinds",
        "type": "string",
    },
}
_OBJECT_METADATA = f"Standard object's metadata. {_CONVENTIONS}#metadata"
_LIST_METADATA = f"Standard list metadata. {_CONVENTIONS}#types-kinds"
#: Members of a schema whose values are schemas, by how they hold them.
_ONE, _MANY, _NAMED = ("items", "additionalProperties", "not"), ("allOf", "anyOf", "oneOf"), ("properties",)
_PRESERVES, _EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"
#: What version 2 cannot say, and the rules that only the server reads.
_NOT_IN_V2 = frozenset({"allOf", "anyOf", "oneOf", "not", "nullable"})


def type_name(resource: Resource, suffix: str = "") -> str:
    """`/com.example.v1.Widget`: the type of a resource's objects, or of lists of them (`List`)."""
    reversed_group = ".".join(reversed(resource.group.split(".")))
    return f"{MARK}{reversed_group}.{resource.version}.{_list_kind(resource) if suffix else resource.kind}"


def _list_kind(resource: Resource) -> str:
    given = resource.custom.definition.list_kind if resource.custom is not None else ""
    return given or f"{resource.kind}List"


def schemas(resource: Resource, *, old: bool = False) -> Iterator[tuple[str, Schema]]:
    """The types of a resource by their name in documents; `old` for those of version 2."""
    name = type_name(resource).removeprefix(MARK)
    prefix = "#/definitions/" if old else "#/components/schemas/"
    yield name, _object(resource, prefix, old=old)
    yield type_name(resource, "List").removeprefix(MARK), _list(resource, prefix + name, prefix, old=old)


def _object(resource: Resource, prefix: str, *, old: bool) -> Schema:
    custom = resource.custom
    schema = custom.schema() if custom is not None else {}
    preserves = schema.get(_PRESERVES) or (custom is not None and custom.definition.preserves)
    if not schema or (old and preserves):
        # With properties clients would take unknown ones for wrong.
        out: Schema = {"type": "object"}
    else:
        out = _converted(schema, prefix, old=old)
        properties = out.get("properties") or {}
        own = {**_HEAD, "metadata": _reference(prefix, "ObjectMeta", _OBJECT_METADATA, old=old)}
        out["properties"] = {**properties, **own}
    out["x-kubernetes-group-version-kind"] = [_gvk(resource, resource.kind)]
    return out


def _list(resource: Resource, item: str, prefix: str, *, old: bool) -> Schema:
    return {
        "description": f"{_list_kind(resource)} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": _HEAD["apiVersion"],
            "items": {
                "description": f"List of {resource.plural}. More info: https://git.k8s.io/community/contributors/devel/"
                "sig-architecture/api-conventions.md",
                "type": "array",
                "items": {"$ref": item},
            },
            "kind": _HEAD["kind"],
            "metadata": _reference(prefix, "ListMeta", _LIST_METADATA, old=old),
        },
        "x-kubernetes-group-version-kind": [_gvk(resource, _list_kind(resource))],
    }


def _gvk(resource: Resource, kind: str) -> Schema:
    return {"group": resource.group, "kind": kind, "version": resource.version}


def _reference(prefix: str, name: str, description: str, *, old: bool) -> Schema:
    reference = {"$ref": f"{prefix}{_META}{name}"}
    return {"description": description, **(reference if old else {"allOf": [reference]})}


def _converted(schema: Mapping[str, Any], prefix: str, *, old: bool) -> Schema:
    """A schema as documents show it; embedded objects have what all objects have."""
    out: Schema = {}
    for name, value in schema.items():
        if old and name in _NOT_IN_V2:
            continue
        if name in _ONE and isinstance(value, dict):
            out[name] = _converted(value, prefix, old=old)
        elif name in _MANY and isinstance(value, list):
            out[name] = [_converted(each, prefix, old=old) for each in value]
        elif name in _NAMED and isinstance(value, dict):
            out[name] = {key: _converted(each, prefix, old=old) for key, each in value.items()}
        else:
            out[name] = value
    if old:
        _loosen(schema, out)
    if schema.get(_EMBEDDED) and not (old and schema.get(_PRESERVES)):
        metadata = _reference(prefix, "ObjectMeta", _OBJECT_METADATA, old=old)
        out["properties"] = {**(out.get("properties") or {}), **_HEAD, "metadata": metadata}
    return out


def _loosen(schema: Mapping[str, Any], out: Schema) -> None:
    """Take out what clients of version 2 understand in another way."""
    if schema.get("nullable"):
        for name in ("type", "items", "properties"):
            out.pop(name, None)
    if schema.get("x-kubernetes-int-or-string"):
        out.pop("type", None)
    if schema.get(_PRESERVES):
        for name in ("items", "properties"):
            out.pop(name, None)
