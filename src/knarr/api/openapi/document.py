"""Whole documents: one for each group-version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from knarr.api.openapi import descriptions, operations, schemas
from knarr.api.resources import Resource

_SECURITY = {
    "BearerToken": {
        "type": "apiKey",
        "description": "Bearer Token authentication",
        "name": "authorization",
        "in": "header",
    }
}
_ALWAYS = ("meta.v1.APIResourceList", "meta.v1.DeleteOptions", "meta.v1.Patch", "meta.v1.Status", "meta.v1.WatchEvent")


def document(resources: Sequence[Resource]) -> dict[str, Any]:
    """The OpenAPI v3 document of the resources of one group-version, with descriptions of its types."""
    paths: dict[str, Any] = {}
    wanted = set(_ALWAYS)
    for resource in resources:
        kind_type = schemas.type_named(resource.group, resource.version, resource.kind)
        if kind_type is None:
            continue
        list_type = schemas.type_named(resource.group, resource.version, f"{resource.kind}List") or "meta.v1.Status"
        paths.update(operations.paths(resource, kind_type, list_type))
        wanted |= {kind_type, list_type}
        for sub, path, operation in _subresources(resource):
            wanted.add(sub)
            paths[path] = operation
    found = schemas.closure(wanted)
    for name, schema in found.items():
        descriptions.describe(name, schema)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": found, "securitySchemes": _SECURITY},
    }


def _subresources(resource: Resource) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Subresources whose bodies are objects: (type, path, operations)."""
    for sub in resource.subresources:
        found = schemas.type_named(sub.group, sub.version, sub.kind)
        if found is None or not set(sub.verbs) & {"get", "update", "patch"}:
            continue
        path = resource.path("{namespace}", "{name}", sub.name)
        yield found, path, operations.subresource(resource, sub, found)
