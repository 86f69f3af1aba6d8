"""The operations of a resource, as OpenAPI v3 paths.

Parameters, their order and the names of operations are kube-apiserver's, so that generated clients look alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from knarr.api.openapi.schemas import reference
from knarr.api.resources import Resource, Subresource

_TYPES: Mapping[str, str] = {
    "allowWatchBookmarks": "boolean", "continue": "string", "dryRun": "string", "fieldManager": "string",
    "fieldSelector": "string", "fieldValidation": "string", "force": "boolean", "gracePeriodSeconds": "integer",
    "ignoreStoreReadErrorWithClusterBreakingPotential": "boolean", "labelSelector": "string", "limit": "integer",
    "name": "string", "namespace": "string", "orphanDependents": "boolean", "pretty": "string",
    "propagationPolicy": "string", "resourceVersion": "string", "resourceVersionMatch": "string",
    "sendInitialEvents": "boolean", "shardSelector": "string", "timeoutSeconds": "integer", "watch": "boolean",
}  # fmt: skip
_LIST = (
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "shardSelector", "timeoutSeconds", "watch",
)  # fmt: skip
_DELETE = (
    "dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents",
    "propagationPolicy",
)  # fmt: skip
_DELETE_COLLECTION = tuple(sorted({*_DELETE, *_LIST} - {"allowWatchBookmarks", "watch"}))
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_PATCH = (*_WRITE, "force")
_MEDIA = ("application/cbor", "application/json", "application/vnd.kubernetes.protobuf", "application/yaml")
_STREAMS = ("application/cbor-seq", "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
_PATCHES = (
    "application/apply-patch+cbor", "application/apply-patch+yaml", "application/json-patch+json",
    "application/merge-patch+json", "application/strategic-merge-patch+json",
)  # fmt: skip
_OPTIONS, _STATUS, _EVENT = "meta.v1.DeleteOptions", "meta.v1.Status", "meta.v1.WatchEvent"
_OK, _MADE, _TAKEN = "200", "201", "202"
_TEXTS = {_OK: "OK", _MADE: "Created", _TAKEN: "Accepted"}


def paths(resource: Resource, kind_type: str, list_type: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, operations) of a resource: collection, object, watches; subresources apart."""
    verbs, prefix, plural = resource.verbs, resource.prefix, resource.plural
    namespaced = "Namespaced" if resource.namespaced else ""
    base = f"{prefix}/namespaces/{{namespace}}/{plural}" if resource.namespaced else f"{prefix}/{plural}"
    scope = ("namespace",) if resource.namespaced else ()
    make = _Maker(resource)
    collection = make.collection(namespaced, kind_type, list_type)
    if collection:
        yield base, {**collection, "parameters": _parameters((*scope, "pretty"))}
    single = make.single(namespaced, kind_type)
    if single:
        yield f"{base}/{{name}}", {**single, "parameters": _parameters(("name", *scope, "pretty"))}
    if resource.namespaced and "list" in verbs:
        everywhere = make.operation("list", f"list{{}}{resource.kind}ForAllNamespaces", (), list_type, streams=True)
        yield f"{prefix}/{plural}", {"get": everywhere, "parameters": _parameters(tuple(sorted((*_LIST, "pretty"))))}
    if "watch" in verbs:
        yield from _watches(resource, make, scope, namespaced)


def _watches(
    resource: Resource, make: _Maker, scope: Sequence[str], namespaced: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The old watch paths."""
    prefix, plural, kind = resource.prefix, resource.plural, resource.kind
    query = sorted((*_LIST, "pretty"))
    inner = f"{prefix}/watch/namespaces/{{namespace}}/{plural}" if scope else f"{prefix}/watch/{plural}"
    listed = make.operation("watchlist", f"watch{{}}{namespaced}{kind}List", (), _EVENT, streams=True)
    yield inner, {"get": listed, "parameters": _parameters(sorted((*scope, *query)))}
    one = make.operation("watch", f"watch{{}}{namespaced}{kind}", (), _EVENT, streams=True)
    yield f"{inner}/{{name}}", {"get": one, "parameters": _parameters(sorted(("name", *scope, *query)))}
    if scope:
        every = make.operation("watchlist", f"watch{{}}{kind}ListForAllNamespaces", (), _EVENT, streams=True)
        yield f"{prefix}/watch/{plural}", {"get": every, "parameters": _parameters(query)}


class _Maker:
    """Makes the operations of one resource."""

    def __init__(self, resource: Resource, gvk: Mapping[str, str] | None = None) -> None:
        self._resource = resource
        parts = (resource.group or "core").removesuffix(".k8s.io").split(".")
        self._id = "".join(part[:1].upper() + part[1:] for part in (*parts, resource.version))
        self._tag = parts[0] + "".join(part[:1].upper() + part[1:] for part in parts[1:]) + f"_{resource.version}"
        self._gvk = gvk or {"group": resource.group, "kind": resource.kind, "version": resource.version}

    def collection(self, namespaced: str, kind_type: str, list_type: str) -> dict[str, Any]:
        """Operations of the collection."""
        verbs, kind = self._resource.verbs, self._resource.kind
        out: dict[str, Any] = {}
        if "deletecollection" in verbs:
            name = f"delete{{}}Collection{namespaced}{kind}"
            out["delete"] = self.operation("deletecollection", name, _DELETE_COLLECTION, _STATUS, body=_OPTIONS)
        if "list" in verbs:
            out["get"] = self.operation("list", f"list{{}}{namespaced}{kind}", _LIST, list_type, streams=True)
        if "create" in verbs:
            name, codes = f"create{{}}{namespaced}{kind}", (_OK, _MADE, _TAKEN)
            out["post"] = self.operation("post", name, _WRITE, kind_type, body=kind_type, codes=codes)
        return out

    def single(
        self, namespaced: str, kind_type: str, *, verbs: Sequence[str] | None = None, suffix: str = ""
    ) -> dict[str, Any]:
        """Operations of one object, or (with `suffix` behind their names) of its subresource."""
        verbs, kind = self._resource.verbs if verbs is None else verbs, self._resource.kind + suffix
        out: dict[str, Any] = {}
        if "delete" in verbs:
            name = f"delete{{}}{namespaced}{kind}"
            out["delete"] = self.operation("delete", name, _DELETE, _STATUS, body=_OPTIONS, codes=(_OK, _TAKEN))
        if "get" in verbs:
            out["get"] = self.operation("get", f"read{{}}{namespaced}{kind}", (), kind_type)
        if "patch" in verbs:
            name = f"patch{{}}{namespaced}{kind}"
            out["patch"] = self.operation("patch", name, _PATCH, kind_type, body="meta.v1.Patch", codes=(_OK, _MADE))
        if "update" in verbs:
            name = f"replace{{}}{namespaced}{kind}"
            out["put"] = self.operation("put", name, _WRITE, kind_type, body=kind_type, codes=(_OK, _MADE))
        return out

    def operation(  # noqa: PLR0913 - an operation has this many parts
        self,
        action: str,
        name: str,
        parameters: Sequence[str],
        answer: str,
        *,
        body: str = "",
        codes: Sequence[str] = (_OK,),
        streams: bool = False,
    ) -> dict[str, Any]:
        """One operation; `{}` in its name stands for the group and version."""
        media = sorted((*_MEDIA, *_STREAMS)) if streams else _MEDIA
        content = {each: {"schema": reference(answer)} for each in media}
        responses: dict[str, Any] = {code: {"description": _TEXTS[code], "content": content} for code in codes}
        responses["401"] = {"description": "Unauthorized"}
        out: dict[str, Any] = {"tags": [self._tag], "operationId": name.format(self._id)}
        if parameters:
            out["parameters"] = _parameters(parameters)
        if body:
            kinds = _PATCHES if action == "patch" else ("*/*",)
            out["requestBody"] = {"content": {each: {"schema": reference(body)} for each in kinds}}
            if body != _OPTIONS:
                out["requestBody"]["required"] = True
        out["responses"] = responses
        out["x-kubernetes-action"] = action
        out["x-kubernetes-group-version-kind"] = self._gvk
        return out


def _parameters(names: Sequence[str]) -> list[dict[str, Any]]:
    return [_parameter(name) for name in names]


def _parameter(name: str) -> dict[str, Any]:
    out: dict[str, Any] = {"name": name, "in": "path" if name in ("name", "namespace") else "query"}
    if out["in"] == "path":
        out["required"] = True
    out["schema"] = {"type": _TYPES[name], "uniqueItems": True}
    return out


def subresource(resource: Resource, sub: Subresource, kind_type: str) -> dict[str, Any]:
    """The operations of a subresource that is read and written like an object."""
    name = "".join(part[:1].upper() + part[1:] for part in sub.name.split("/"))
    make = _Maker(resource, {"group": sub.group, "kind": sub.kind, "version": sub.version})
    scope = ("namespace",) if resource.namespaced else ()
    single = make.single(
        "Namespaced" if scope else "", kind_type, verbs=[verb for verb in sub.verbs if verb != "delete"], suffix=name
    )
    return {**single, "parameters": _parameters(("name", *scope, "pretty"))}
