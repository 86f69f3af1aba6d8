"""What the group says of itself: discovery and OpenAPI. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.apimachinery.types import Object
from knarr.apiserver.aggregation.aggregator import Told
from knarr.apiserver.aggregation.openapi import Part
from knarr.apiserver.resource_metrics.objects import API_VERSION, GROUP, NODE, POD, VERSION

BASE = f"/apis/{API_VERSION}"
_RESOURCES: tuple[Object, ...] = (
    {"name": "nodes", "singularName": "", "namespaced": False, "kind": NODE, "verbs": ["get", "list"]},
    {"name": "pods", "singularName": "", "namespaced": True, "kind": POD, "verbs": ["get", "list"]},
)
_TYPES = "io.k8s.metrics.pkg.apis.metrics.v1beta1."
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_OLD, _NEW = "#/definitions/", "#/components/schemas/"
#: What types of the group refer to, by their short names.
_SHARED = ("meta.v1.APIResourceList", "meta.v1.ListMeta", "meta.v1.ObjectMeta")
_LIST_QUERY = ("fieldSelector", "labelSelector", "limit", "continue", "resourceVersion", "timeoutSeconds")


def resource_list() -> Object:
    """The `APIResourceList`."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": API_VERSION,
        "resources": list(_RESOURCES),
    }


def told() -> Told:
    """What aggregation has to know."""
    return Told(_RESOURCES, f"/openapi/v3{BASE}", Part(_paths(_OLD), _types(_OLD)))


def openapi_v3() -> Object:
    """The OpenAPI v3 document. What it refers to is in it."""
    # Few servers are ever asked for it.
    from knarr.api.openapi import descriptions, schemas

    shared: dict[str, Any] = {}
    for name, full in schemas.closure(_SHARED):
        shared[full] = schemas.schema(name, [])
        descriptions.describe(full, shared[full])
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes metrics", "version": "unversioned"},
        "paths": _paths(_NEW),
        "components": {"schemas": dict(sorted((shared | _types(_NEW)).items()))},
    }


# Types


def _types(prefix: str) -> dict[str, Any]:
    """The types of the group by their name in documents."""
    usage = {"type": "object", "additionalProperties": {"$ref": prefix + _QUANTITY}}
    own = {
        "ContainerMetrics": _object(
            "ContainerMetrics sets resource usage metrics of a container.",
            {"name": {"type": "string"}, "usage": usage},
        ),
        NODE: _metrics(prefix, NODE, "a node", {"usage": usage}),
        POD: _metrics(
            prefix,
            POD,
            "a pod",
            {"containers": {"type": "array", "items": {"$ref": f"{prefix}{_TYPES}ContainerMetrics"}}},
        ),
    }
    lists = {f"{kind}List": _list(prefix, kind) for kind in (NODE, POD)}
    values = {
        _QUANTITY: {"type": "string", "description": "A fixed-point representation of a number."},
        f"{_META}Duration": {"type": "string", "description": "A duration as Go writes it: 1m30s."},
        f"{_META}Time": {"type": "string", "format": "date-time", "description": "A moment, RFC 3339."},
    }
    return {**{_TYPES + name: schema for name, schema in (own | lists).items()}, **values}


def _object(description: str, properties: Mapping[str, Any], kind: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {"description": description, "type": "object", "properties": dict(properties)}
    out["required"] = [name for name in properties if name not in ("apiVersion", "kind", "metadata")]
    if kind:
        out["x-kubernetes-group-version-kind"] = [{"group": GROUP, "kind": kind, "version": VERSION}]
    return out


def _metrics(prefix: str, kind: str, of: str, more: Mapping[str, Any]) -> dict[str, Any]:
    properties = {
        **_head(prefix, "ObjectMeta"),
        "timestamp": {"$ref": f"{prefix}{_META}Time"},
        "window": {"$ref": f"{prefix}{_META}Duration"},
        **more,
    }
    return _object(f"{kind} sets resource usage metrics of {of}.", properties, kind)


def _list(prefix: str, kind: str) -> dict[str, Any]:
    items = {"type": "array", "items": {"$ref": f"{prefix}{_TYPES}{kind}"}}
    return _object(f"{kind}List is a list of {kind}.", {**_head(prefix, "ListMeta"), "items": items}, f"{kind}List")


def _head(prefix: str, metadata: str) -> dict[str, Any]:
    text = {"type": "string"}
    return {"apiVersion": text, "kind": text, "metadata": {"$ref": f"{prefix}{_META}{metadata}"}}


# Paths


def _paths(prefix: str) -> dict[str, Any]:
    return {
        f"{BASE}/": {"get": _operation(prefix, "getMetricsV1beta1APIResources", f"{_META}APIResourceList")},
        f"{BASE}/nodes": _collection(prefix, NODE, "", "listMetricsV1beta1NodeMetrics"),
        f"{BASE}/nodes/{{name}}": _single(prefix, NODE, ("name",)),
        f"{BASE}/namespaces/{{namespace}}/pods": _collection(
            prefix, POD, "namespace", "listMetricsV1beta1NamespacedPodMetrics"
        ),
        f"{BASE}/namespaces/{{namespace}}/pods/{{name}}": _single(prefix, POD, ("name", "namespace")),
        f"{BASE}/pods": _collection(prefix, POD, "", "listMetricsV1beta1PodMetricsForAllNamespaces"),
    }


def _collection(prefix: str, kind: str, scope: str, name: str) -> dict[str, Any]:
    operation = _operation(prefix, name, f"{_TYPES}{kind}List", kind, "list")
    operation["description"] = f"list objects of kind {kind}"
    parameters = [_parameter(prefix, each, "query") for each in _LIST_QUERY]
    operation["parameters"] = parameters
    return {"get": operation, **({"parameters": [_parameter(prefix, scope, "path")]} if scope else {})}


def _single(prefix: str, kind: str, scope: tuple[str, ...]) -> dict[str, Any]:
    within = "Namespaced" if "namespace" in scope else ""
    operation = _operation(prefix, f"readMetricsV1beta1{within}{kind}", _TYPES + kind, kind, "get")
    operation["description"] = f"read the specified {kind}"
    return {"get": operation, "parameters": [_parameter(prefix, each, "path") for each in scope]}


def _operation(prefix: str, name: str, answer: str, kind: str = "", action: str = "") -> dict[str, Any]:
    schema = {"$ref": prefix + answer}
    content = {"schema": schema} if prefix == _OLD else {"content": {"application/json": {"schema": schema}}}
    operation: dict[str, Any] = {
        "tags": ["metrics_v1beta1"],
        "description": "get available resources",
        "operationId": name,
        "responses": {"200": {"description": "OK", **content}, "401": {"description": "Unauthorized"}},
    }
    if prefix == _OLD:
        operation |= {"consumes": ["application/json"], "produces": ["application/json"], "schemes": ["https"]}
    if kind:
        operation["x-kubernetes-action"] = action
        operation["x-kubernetes-group-version-kind"] = {"group": GROUP, "kind": kind, "version": VERSION}
    return operation


def _parameter(prefix: str, name: str, place: str) -> dict[str, Any]:
    kind = {"type": "integer" if name in ("limit", "timeoutSeconds") else "string", "uniqueItems": True}
    out: dict[str, Any] = {"name": name, "in": place, **(kind if prefix == _OLD else {"schema": kind})}
    if place == "path":
        out["required"] = True
    return out
