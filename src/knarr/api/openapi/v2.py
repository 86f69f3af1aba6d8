"""OpenAPI v2: the paths and types of all documents in one, in the older form, made piece by piece.

The whole is some megabytes: nothing here holds more of it than one path or one type.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from knarr.api.openapi import custom, descriptions, schemas
from knarr.api.openapi.document import INFO, SECURITY, UNAUTHORIZED, extensions
from knarr.api.openapi.operations import TEXT, TEXTS, Operation, PathItem, types_of
from knarr.api.openapi.parameters import SHARED, SHARED_BODIES, Parameter
from knarr.api.openapi.stream import Lazy
from knarr.api.resources import Resource

_OLD_REF, _REF = "#/components/schemas/", "#/definitions/"
_LOOSE = {"int-or-string": {"type": "string", "format": "int-or-string"}, "": {"type": "string"}}
Pairs = Iterator[tuple[str, dict[str, Any]]]


def document(items: Callable[[], Iterable[Mapping[str, PathItem]]], resources: Sequence[Resource] = ()) -> Lazy:
    """One document of the paths that `items` gives, document by document; it is called more than once.

    `resources` are the custom ones among those that the paths are about.
    """
    used: set[str] = set()
    shared: set[Parameter] = set()
    for each in items():
        used |= types_of(each.values())
        for item in each.values():
            shared.update(item.shared, *(item.own(operation) for operation in item.operations.values()))
    return Lazy(
        lambda: (
            ("swagger", "2.0"),
            ("info", INFO),
            ("paths", Lazy(lambda: _paths(items()))),
            ("definitions", Lazy(lambda: _definitions(used, resources))),
            ("parameters", dict(sorted(_shared(shared & SHARED, used)))),
            ("securityDefinitions", SECURITY),
            ("security", [{"BearerToken": []}]),
        )
    )


def _paths(items: Iterable[Mapping[str, PathItem]]) -> Pairs:
    for each in items:
        for path, item in each.items():
            yield path, _path(item)


def _definitions(used: Iterable[str], resources: Iterable[Resource]) -> Pairs:
    kinds = schemas.shared_kinds()
    for resource in resources:
        yield from custom.schemas(resource, old=True)
    for name, full in schemas.closure(used):
        if name.startswith(custom.MARK):
            continue
        found = _schema(schemas.schema(name, kinds))
        descriptions.describe(full, found)
        yield full, found


def _shared(parameters: Iterable[Parameter], used: Collection[str]) -> Pairs:
    """The parameters that stand in a section of their own, the bodies that all kinds have among them."""
    for each in parameters:
        yield each.shared, _written(each)
    for type_, name in SHARED_BODIES.items():
        if type_ in used:
            yield name, _body(type_, optional=type_ == "meta.v1.DeleteOptions")


def _path(item: PathItem) -> dict[str, Any]:
    out: dict[str, Any] = {method: _operation(item, each) for method, each in sorted(item.operations.items())}
    if item.shared:
        out["parameters"] = [_parameter(each) for each in item.shared]
    return out


def _operation(item: PathItem, operation: Operation) -> dict[str, Any]:
    parameters = [_parameter(each) for each in item.own(operation)]
    if operation.body in SHARED_BODIES:
        parameters.insert(0, {"$ref": f"#/parameters/{SHARED_BODIES[operation.body]}"})
    elif operation.body:
        parameters.insert(0, _body(operation.body, optional=False))
    out: dict[str, Any] = {"description": operation.description}
    if operation.consumes:
        out["consumes"] = list(operation.consumes)
    out |= {"produces": list(operation.produces), "schemes": ["https"], "tags": [operation.tag]}
    out["operationId"] = operation.id
    if parameters:
        out["parameters"] = parameters
    schema = {"type": "string"} if operation.answer == TEXT else _schema(schemas.reference(operation.answer))
    answers = {code: {"description": TEXTS[code], "schema": schema} for code in operation.codes}
    out["responses"] = answers | UNAUTHORIZED
    return {**out, **extensions(operation)}


def _body(type_: str, *, optional: bool) -> dict[str, Any]:
    out = {"in": "body", "name": "body", "schema": _schema(schemas.reference(type_))}
    return out if optional else {**out, "required": True}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {"$ref": f"#/parameters/{parameter.shared}"} if parameter in SHARED else _written(parameter)


def _written(parameter: Parameter) -> dict[str, Any]:
    out: dict[str, Any] = {"uniqueItems": True, "type": parameter.type, "name": parameter.name, "in": parameter.place}
    return {**out, "required": True} if parameter.place == "path" else out


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """References are bare, without defaults; unions of scalars are text."""
    if "oneOf" in schema:
        rest = {key: value for key, value in schema.items() if key not in ("oneOf", "format")}
        return {**_LOOSE[schema.get("format", "")], **rest}
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "allOf":
            out |= _schema(value[0])
        elif key == "$ref":
            out[key] = _REF + value.removeprefix(_OLD_REF)
        elif key in ("items", "additionalProperties"):
            out[key] = _schema(value)
        elif key == "properties":
            out[key] = {name: _schema(each) for name, each in value.items()}
        elif key != "default":
            out[key] = value
    return out
