"""Discovery: what is served, as clients learn it, in the old form and aggregated. Answers are bytes made once.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import orjson

from knarr.api.bootstrap import system
from knarr.api.resources import Resource, Subresource
from knarr.apimachinery.errors import not_acceptable
from knarr.apimachinery.types import Object
from knarr.apiserver import negotiation, responses
from knarr.apiserver.aggregation import documents
from knarr.apiserver.aggregation.documents import Other
from knarr.apiserver.aggregation.nobody import Nobody
from knarr.apiserver.negotiation import MEDIA_TYPES
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import ServedResources

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Others(Protocol):
    """What other API servers serve behind this one."""

    @property
    def generation(self) -> int:
        """Grows with every change."""
        ...

    def others(self) -> list[Other]:
        """Their group-versions."""
        ...


class Document(NamedTuple):
    """One answer, ready to send."""

    value: Object
    body: bytes
    etag: str


class Discovery:
    """The discovery documents of a server; made anew when the served resources have changed."""

    def __init__(self, served: ServedResources, address: Callable[[], str], others: Others | None = None) -> None:
        """`address` gives `host:port` under which clients of this network reach the server."""
        self._served = served
        self._address = address
        self._others: Others = others or Nobody()
        self._generation = (-1, -1)
        self._documents: dict[tuple[str, bool], Document] = {}

    def answer(self, request: Request) -> Response | None:
        """The document of a path; None when there is none. Raises `StatusError` 406."""
        path = request.path.rstrip("/")
        generation = (self._served.generation, self._others.generation)
        if self._generation != generation:
            self._documents.clear()
            self._generation = generation
        aggregated = path in ("/api", "/apis") and _wants_aggregated(request.headers.get("accept", ""))
        document = self._document(path, aggregated=aggregated)
        if document is None:
            return None
        if aggregated:
            return _respond_aggregated(document, request)
        accept = request.headers.get("accept", "")
        form = negotiation.negotiate(accept, tables=False)
        if form.kind:
            raise not_acceptable(MEDIA_TYPES)
        return responses.obj(document.value, request, form)

    def groups(self) -> dict[str, list[str]]:
        """Groups and their versions, this server's and those of others, in discovery order."""
        own = self._served.groups
        others = self._others.others()
        return dict(documents.merged_groups(own.items(), system.GROUP_PRIORITY, others)) if others else own

    def _document(self, path: str, *, aggregated: bool) -> Document | None:
        key = (path, aggregated)
        found = self._documents.get(key)
        if found is None:
            value = self._aggregated(path) if aggregated else self._plain(path)
            if value is None:
                return None
            body = orjson.dumps(value)
            etag = '"' + hashlib.sha512(body).hexdigest().upper() + '"'
            found = self._documents[key] = Document(value, body, etag)
        return found

    def _plain(self, path: str) -> Object | None:
        parts = path.strip("/").split("/")
        if path == "/api":
            return self._core_versions()
        if path == "/apis":
            return self._groups()
        if len(parts) == 2 and parts[0] == "apis":
            return self._group(parts[1])
        if len(parts) == 2 and parts[0] == "api":
            return self._resources("", parts[1])
        if len(parts) == 3 and parts[0] == "apis":
            return self._resources(parts[1], parts[2])
        return None

    def _core_versions(self) -> Object:
        address = {"clientCIDR": "0.0.0.0/0", "serverAddress": self._address()}
        return {
            "kind": "APIVersions",
            "versions": self._served.groups.get("", []),
            "serverAddressByClientCIDRs": [address],
        }

    def _groups(self) -> Object:
        groups = [_group_entry(group, versions) for group, versions in self.groups().items() if group]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def _group(self, group: str) -> Object | None:
        versions = self.groups().get(group)
        if not versions or not group:
            return None
        return {"kind": "APIGroup", "apiVersion": "v1", **_group_entry(group, versions)}

    def _resources(self, group: str, version: str) -> Object | None:
        if not self._served.has(group, version):
            return None
        entries: list[Object] = []
        for resource in self._of(group, version):
            entries.append(_entry(resource))
            entries += [_subresource_entry(resource, item) for item in resource.subresources]
        out: Object = {"kind": "APIResourceList"}
        if group:
            out["apiVersion"] = "v1"
        out["groupVersion"] = f"{group}/{version}" if group else version
        out["resources"] = sorted(entries, key=lambda entry: str(entry["name"]))
        return out

    def _of(self, group: str, version: str) -> Iterable[Resource]:
        return self._served.in_version(group, version)

    def _aggregated(self, path: str) -> Object:
        core = path == "/api"
        items = []
        for group, versions in self.groups().items():
            if bool(group) == core:
                continue
            meta = {"name": group} if group else {}
            items.append({"metadata": meta, "versions": [self._aggregated_version(group, item) for item in versions]})
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        }

    def _aggregated_version(self, group: str, version: str) -> Object:
        for other in self._others.others():
            if (other.route.group, other.route.version) == (group, version):
                return documents.aggregated(other)
        resources = sorted(self._of(group, version), key=lambda item: item.plural)
        return {
            "version": version,
            "resources": [_aggregated_entry(resource) for resource in resources],
            "freshness": "Current",
        }


def _wants_aggregated(accept: str) -> bool:
    """Whether the aggregated form is asked for before plain JSON; that of v2beta1 is not served any more."""
    for clause in accept.split(","):
        parts = [part.strip() for part in clause.split(";")]
        if parts[0] in ("application/json", "*/*") and "as=APIGroupDiscoveryList" not in parts:
            return False
        if "as=APIGroupDiscoveryList" in parts and "v=v2" in parts and "g=apidiscovery.k8s.io" in parts:
            return True
    return False


def _respond_aggregated(document: Document, request: Request) -> Response:
    headers = {"ETag": document.etag, "Vary": "Accept", "Cache-Control": "public"}
    if request.headers.get("if-none-match") == document.etag:
        return Response(304, b"", _AGGREGATED, headers)
    return Response(200, document.body, _AGGREGATED, headers)


def _group_entry(group: str, versions: list[str]) -> Object:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _entry(resource: Resource) -> Object:
    out: Object = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        out["shortNames"] = list(resource.short_names)
    if resource.categories:
        out["categories"] = list(resource.categories)
    if resource.storage_version_hash:
        out["storageVersionHash"] = resource.storage_version_hash
    return out


def _subresource_entry(resource: Resource, item: Subresource) -> Object:
    out: Object = {
        "name": f"{resource.plural}/{item.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": item.kind,
        "verbs": list(item.verbs),
    }
    if (item.group, item.version) != (resource.group, resource.version):
        out["group"], out["version"] = item.group, item.version
    return out


def _aggregated_entry(resource: Resource) -> Object:
    out: Object = {
        "resource": resource.plural,
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        out["shortNames"] = list(resource.short_names)
    if resource.categories:
        out["categories"] = list(resource.categories)
    if resource.subresources:
        out["subresources"] = [_aggregated_subresource(resource, item) for item in resource.subresources]
    return out


def _aggregated_subresource(resource: Resource, item: Subresource) -> Object:
    own = (item.group, item.version) == (resource.group, resource.version)
    kind = {"group": "" if own else item.group, "version": "" if own else item.version, "kind": item.kind}
    return {"subresource": item.name, "responseKind": kind, "verbs": list(item.verbs)}
