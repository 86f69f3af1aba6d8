"""The paths of a resource: collection, object, subresources, the old watches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from knarr.api.openapi import custom, parameters, schemas
from knarr.api.openapi.operations import (
    ANY,
    MADE,
    MEDIA,
    OK,
    PATCHES,
    PLAIN,
    PLAIN_PATCHES,
    STREAMED,
    TAKEN,
    TEXT,
    Operation,
    PathItem,
)
from knarr.api.openapi.parameters import NAME, NAMESPACE, OPTIONS, PRETTY, SUBPATH, Parameter
from knarr.api.resources import Resource, Subresource
from knarr.api.semantics import deletion

Paths = Iterator[tuple[str, PathItem]]
_DELETE_OPTIONS, _STATUS, _EVENT, _PATCH = (
    "meta.v1.DeleteOptions",
    "meta.v1.Status",
    "meta.v1.WatchEvent",
    "meta.v1.Patch",
)
#: Methods of subresources that connect, by the verb that discovery names; proxies take the two others as well.
_CONNECTING = {"create": "post", "delete": "delete", "get": "get", "patch": "patch", "update": "put"}
_PROXIED = ("head", "options")


def camel(text: str) -> str:
    """`V1`, `Status`: a part of an operation's name."""
    return text[:1].upper() + text[1:]


def names(group: str, version: str) -> tuple[str, str]:
    """What the names of operations of a group-version hold (`AppsV1`), and their tag (`apps_v1`).

    Without a version: those of the group.
    """
    parts = (group or "core").removesuffix(".k8s.io").split(".")
    tag = parts[0] + "".join(camel(part) for part in parts[1:])
    within = "".join(camel(part) for part in (*parts, version))
    return within, f"{tag}_{version}" if version else tag


def paths(resource: Resource) -> Paths:
    """(path, item) of a resource. Nothing for one whose kind has no type."""
    kind_type = _type_of(resource)
    if kind_type is None:
        return
    make = _Maker(resource, kind_type)
    yield from make.collections()
    yield from make.single()
    for sub in resource.subresources:
        yield from _subresource(resource, sub)
    if "watch" in resource.verbs and resource.custom is None:
        yield from make.watches()


def _type_of(resource: Resource, suffix: str = "") -> str | None:
    if resource.custom is not None:
        return custom.type_name(resource, suffix)
    return schemas.type_named(resource.group, resource.version, resource.kind + suffix)


class _Maker:
    """Makes the operations of one resource."""

    def __init__(self, resource: Resource, kind_type: str) -> None:
        self._resource = resource
        self._type = kind_type
        self._within, self._tag = names(resource.group, resource.version)
        self._scope = frozenset({NAMESPACE} if resource.namespaced else ())
        self._namespaced = "Namespaced" if resource.namespaced else ""
        self._gvk = (resource.group, resource.version, resource.kind)

    def collections(self) -> Paths:
        """The collection, and that of all namespaces."""
        resource = self._resource
        found = {
            "delete": ("deletecollection", self._delete_collection),
            "get": ("list", lambda: self._list("list", self._namespaced, "", self._scope)),
            "post": ("create", self._create),
        }
        made = {method: make() for method, (verb, make) in found.items() if verb in resource.verbs}
        if made:
            yield resource.path("{namespace}"), PathItem(made)
        if self._scope and "list" in resource.verbs:
            yield resource.path(), PathItem({"get": self._list("list", "", "ForAllNamespaces", frozenset())})

    def single(self) -> Paths:
        """One object."""
        kind = self._namespaced + self._resource.kind
        made = self.object_operations(kind, self._resource.verbs, self._type, self._gvk)
        if made:
            yield self._resource.path("{namespace}", "{name}"), PathItem(made)

    def object_operations(
        self, kind: str, verbs: Sequence[str], type_: str, gvk: tuple[str, str, str]
    ) -> dict[str, Operation]:
        """What can be done with one object, or its subresource."""
        deleted = self._type if deletion.returns_deleted(self._resource) else _STATUS
        said = f"specified {kind.removeprefix('Namespaced')}"
        within = self._within
        scope = self._scope | {NAME, PRETTY}
        read, write = scope, scope | parameters.WRITE
        found: Mapping[str, tuple[str, Operation]] = {
            "delete": ("delete", self._operation(
                f"delete{within}{kind}", f"delete {said}", deleted, "delete", scope | parameters.DELETE, gvk,
                body=_DELETE_OPTIONS, codes=(OK, TAKEN))),
            "get": ("get", self._operation(f"read{within}{kind}", f"read the {said}", type_, "get", read, gvk)),
            "patch": ("patch", self._operation(
                f"patch{within}{kind}", f"partially update the {said}", type_, "patch", scope | parameters.PATCH, gvk,
                body=_PATCH, codes=(OK, MADE))),
            "put": ("update", self._operation(
                f"replace{within}{kind}", f"replace the {said}", type_, "put", write, gvk,
                body=type_, codes=(OK, MADE))),
        }  # fmt: skip
        return {method: operation for method, (verb, operation) in found.items() if verb in verbs}

    def created(self, kind: str, type_: str, gvk: tuple[str, str, str], scope: frozenset[Parameter]) -> Operation:
        """A POST of an object."""
        codes = (OK, MADE, TAKEN)
        name, said = f"create{self._within}{self._namespaced}{kind}", f"create {_article(kind)} {kind}"
        return self._operation(name, said, type_, "post", scope | parameters.WRITE, gvk, body=type_, codes=codes)

    def watches(self) -> Paths:
        """The old watch paths."""
        resource = self._resource
        within = f"{resource.prefix}/watch/" + ("namespaces/{namespace}/" if self._scope else "") + resource.plural
        yield within, PathItem({"get": self._watch("watchlist", self._namespaced, "List", self._scope)})
        one = self._watch("watch", self._namespaced, "", self._scope | {NAME})
        yield f"{within}/{{name}}", PathItem({"get": one})
        if self._scope:
            every = self._watch("watchlist", "", "ListForAllNamespaces", frozenset())
            yield f"{resource.prefix}/watch/{resource.plural}", PathItem({"get": every})

    def _create(self) -> Operation:
        return self.created(self._resource.kind, self._type, self._gvk, self._scope | {PRETTY})

    def _delete_collection(self) -> Operation:
        kind = self._resource.kind
        name = f"delete{self._within}Collection{self._namespaced}{kind}"
        query = self._scope | {PRETTY} | parameters.DELETE_COLLECTION
        said = f"delete collection of {kind}"
        return self._operation(name, said, _STATUS, "deletecollection", query, self._gvk, body=_DELETE_OPTIONS)

    def _list(self, action: str, scope: str, suffix: str, query: frozenset[Parameter]) -> Operation:
        kind = self._resource.kind
        answer = _type_of(self._resource, "List") or _STATUS
        what = "list" if self._resource.custom is not None else "list or watch"
        name, said = f"list{self._within}{scope}{kind}{suffix}", f"{what} objects of kind {kind}"
        query = query | {PRETTY} | parameters.LIST
        return self._operation(name, said, answer, action, query, self._gvk, produces=STREAMED)

    def _watch(self, action: str, scope: str, suffix: str, query: frozenset[Parameter]) -> Operation:
        name, said = f"watch{self._within}{scope}{self._resource.kind}{suffix}", "watch changes"
        query = query | {PRETTY} | parameters.LIST
        return self._operation(name, said, _EVENT, action, query, self._gvk, produces=STREAMED)

    def _operation(  # noqa: PLR0913 - an operation has this many parts
        self,
        name: str,
        said: str,
        answer: str,
        action: str,
        query: frozenset[Parameter],
        gvk: tuple[str, str, str],
        *,
        body: str = "",
        codes: tuple[str, ...] = (OK,),
        produces: tuple[str, ...] = MEDIA,
    ) -> Operation:
        patches: tuple[str, ...] = PATCHES
        if self._resource.custom is not None:
            produces, patches = PLAIN, PLAIN_PATCHES
        return Operation(
            id=name,
            tag=self._tag,
            description=said,
            answer=answer,
            produces=produces,
            consumes=patches if action == "patch" else PLAIN if self._resource.custom is not None else ANY,
            body=body,
            optional_body=body == _DELETE_OPTIONS,
            codes=codes,
            parameters=query,
            action=action,
            gvk=gvk,
        )


def _article(kind: str) -> str:
    return "an" if kind[:1] in "AEIOU" else "a"


def _subresource(resource: Resource, sub: Subresource) -> Paths:
    if sub.kind in OPTIONS:
        yield from _connected(resource, sub)
        return
    path = resource.path("{namespace}", "{name}", sub.name)
    if sub.name == "log":
        yield path, PathItem({"get": _log(resource)})
        return
    own = resource.custom is not None and sub.name == "status"
    found = _type_of(resource) if own else schemas.type_named(sub.group, sub.version, sub.kind)
    if found is None:
        return
    gvk, make = (sub.group, sub.version, sub.kind), _Maker(resource, found)
    kind = resource.kind + camel(sub.name)
    operations = make.object_operations(
        ("Namespaced" if resource.namespaced else "") + kind,
        [verb for verb in sub.verbs if verb != "delete"],
        found,
        gvk,
    )
    if "create" in sub.verbs:
        scope = frozenset({NAME, PRETTY, *((NAMESPACE,) if resource.namespaced else ())})
        operations["post"] = make.created(kind, found, gvk, scope)
    yield path, PathItem(operations)


def _connected(resource: Resource, sub: Subresource) -> Paths:
    """Subresources that lead elsewhere: exec, attach, portforward, proxy."""
    methods = [_CONNECTING[verb] for verb in sub.verbs]
    scope = {NAME, *((NAMESPACE,) if resource.namespaced else ()), *OPTIONS[sub.kind]}
    path = resource.path("{namespace}", "{name}", sub.name)
    if sub.name == "proxy":
        methods = sorted((*methods, *_PROXIED))
        below = {
            method: _connect(resource, sub, method, frozenset({*scope, SUBPATH}), "WithPath") for method in methods
        }
        yield f"{path}/{{path}}", PathItem(below)
    yield path, PathItem({method: _connect(resource, sub, method, frozenset(scope), "") for method in methods})


def _connect(resource: Resource, sub: Subresource, method: str, query: frozenset[Parameter], suffix: str) -> Operation:
    within, tag = names(resource.group, resource.version)
    scope = "Namespaced" if resource.namespaced else ""
    return Operation(
        id=f"connect{within}{camel(method)}{scope}{resource.kind}{camel(sub.name)}{suffix}",
        tag=tag,
        description=f"connect {method.upper()} requests to {sub.name} of {resource.kind}",
        answer=TEXT,
        produces=ANY,
        parameters=query,
        action="connect",
        gvk=(sub.group, sub.version, sub.kind),
    )


def _log(resource: Resource) -> Operation:
    within, tag = names(resource.group, resource.version)
    return Operation(
        id=f"read{within}Namespaced{resource.kind}Log",
        tag=tag,
        description=f"read log of the specified {resource.kind}",
        answer=TEXT,
        produces=("text/plain", *MEDIA),
        parameters=frozenset({NAME, NAMESPACE, PRETTY, *OPTIONS[f"{resource.kind}LogOptions"]}),
        action="get",
        gvk=(resource.group, resource.version, resource.kind),
    )
