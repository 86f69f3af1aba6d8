"""The OpenAPI v3 documents: one for each group-version, one for each group, one for each root path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from knarr.api.openapi import custom, descriptions, paths, roots, schemas
from knarr.api.openapi.operations import TEXT, TEXTS, Operation, PathItem, types_of
from knarr.api.openapi.parameters import Parameter
from knarr.api.openapi.stream import Lazy
from knarr.api.resources import Resource

SECURITY = {
    "BearerToken": {
        "type": "apiKey",
        "description": "Bearer Token authentication",
        "name": "authorization",
        "in": "header",
    }
}
INFO = {"title": "Kubernetes", "version": "unversioned"}
UNAUTHORIZED = {"401": {"description": "Unauthorized"}}
Items = dict[str, PathItem]


def items(name: str, resources: Sequence[Resource]) -> Items:
    """The paths of a document by name (`version`, `apis/apps`, `apis/apps/v1`); `resources` of its group-version."""
    if name in roots.NAMES:
        return roots.root(name)
    _, _, rest = name.partition("/")
    if not resources:
        return roots.group(rest)
    first = resources[0]
    # Those of custom resources have no path of discovery.
    found = {} if first.custom is not None else roots.group_version(first.group, first.version)
    for resource in resources:
        found.update(paths.paths(resource))
    return dict(sorted(found.items()))


def document(name: str, resources: Sequence[Resource]) -> Lazy:
    """The document of a name, with descriptions of its types."""
    found = items(name, resources)
    types = types_of(found.values())
    kinds = sorted({("", "v1"), *((each.group, each.version) for each in resources)})
    schemas_ = [("schemas", Lazy(lambda: _schemas(types, kinds, resources)))] if types else []
    components = [*schemas_, ("securitySchemes", SECURITY)]
    return Lazy(
        lambda: (
            ("openapi", "3.0.0"),
            ("info", INFO),
            ("paths", Lazy(lambda: ((path, _path(item)) for path, item in found.items()))),
            ("components", Lazy(lambda: components)),
        )
    )


def _schemas(
    types: Iterable[str], kinds: Sequence[tuple[str, str]], resources: Sequence[Resource]
) -> Iterator[tuple[str, Any]]:
    own = dict(pair for each in resources if each.custom is not None for pair in custom.schemas(each))
    for name, full in schemas.closure(types):
        if full in own:
            yield full, own[full]
            continue
        schema = schemas.schema(name, kinds)
        descriptions.describe(full, schema)
        yield full, schema


def _path(item: PathItem) -> dict[str, Any]:
    out: dict[str, Any] = {method: _operation(item, each) for method, each in sorted(item.operations.items())}
    if item.shared:
        out["parameters"] = [_parameter(each) for each in item.shared]
    return out


def _operation(item: PathItem, operation: Operation) -> dict[str, Any]:
    out: dict[str, Any] = {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
    }
    own = item.own(operation)
    if own:
        out["parameters"] = [_parameter(each) for each in own]
    if operation.body:
        schema = schemas.reference(operation.body)
        out["requestBody"] = {"content": {each: {"schema": schema} for each in sorted(operation.consumes)}}
        if not operation.optional_body:
            out["requestBody"]["required"] = True
    out["responses"] = _responses(operation) | UNAUTHORIZED
    return {**out, **extensions(operation)}


def extensions(operation: Operation) -> Mapping[str, Any]:
    """What Kubernetes adds to an operation."""
    if operation.gvk is None:
        return {}
    group, version, kind = operation.gvk
    gvk = {"group": group, "version": version, "kind": kind}
    return {"x-kubernetes-action": operation.action, "x-kubernetes-group-version-kind": gvk}


def _responses(operation: Operation) -> dict[str, Any]:
    schema = {"type": "string"} if operation.answer == TEXT else schemas.reference(operation.answer)
    content = {each: {"schema": schema} for each in sorted(operation.produces)}
    return {code: {"description": TEXTS[code], "content": content} for code in operation.codes}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    out: dict[str, Any] = {"name": parameter.name, "in": parameter.place}
    if parameter.place == "path":
        out["required"] = True
    return out | {"schema": {"type": parameter.type, "uniqueItems": True}}
