"""OpenAPI v2: the v3 documents of all group-versions in one, in the older form.

Parameters stand in their operations; kube-apiserver keeps the common ones apart and refers to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_OLD_REF, _REF = "#/components/schemas/", "#/definitions/"
_PRODUCES = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor"]
_STREAMS = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch", "application/cbor-seq"]
_LOOSE = {"int-or-string": {"type": "string", "format": "int-or-string"}, "": {"type": "string"}}
_SECURITY = {
    "BearerToken": {
        "type": "apiKey",
        "description": "Bearer Token authentication",
        "name": "authorization",
        "in": "header",
    }
}


def convert(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One v2 document of several v3 documents."""
    paths: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for document in documents:
        for path, item in document["paths"].items():
            paths[path] = _path(item)
        for name, schema in document["components"]["schemas"].items():
            definitions[name] = _schema(schema)
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(definitions.items())),
        "securityDefinitions": _SECURITY,
        "security": [{"BearerToken": []}],
    }


def _path(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: [_parameter(each) for each in value] if key == "parameters" else _operation(value)
        for key, value in item.items()
    }


def _operation(operation: Mapping[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody")
    parameters = [_parameter(each) for each in operation.get("parameters", ())]
    content = operation["responses"].get("200", {}).get("content", {})
    out: dict[str, Any] = {
        "tags": operation["tags"],
        "operationId": operation["operationId"],
        "schemes": ["https"],
        "consumes": list(body["content"]) if body else ["*/*"],
        "produces": [*_PRODUCES, *(_STREAMS if _STREAMS[0] in content else ())],
    }
    if body:
        schema = next(iter(body["content"].values()))["schema"]
        whole: dict[str, Any] = {"in": "body", "name": "body", "schema": _schema(schema)}
        parameters.insert(0, whole | ({"required": True} if body.get("required") else {}))
    if parameters:
        out["parameters"] = parameters
    out["responses"] = {code: _response(each) for code, each in operation["responses"].items()}
    return out | {key: value for key, value in operation.items() if key.startswith("x-")}


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    out = {key: value for key, value in parameter.items() if key != "schema"}
    return out | dict(parameter["schema"])


def _response(response: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {"description": response["description"]}
    if content := response.get("content"):
        out["schema"] = _schema(next(iter(content.values()))["schema"])
    return out


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
