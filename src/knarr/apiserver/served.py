"""The resources this server serves, each with what the verbs need of it, found by the path of a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from knarr.api import registry
from knarr.api.custom import definition, versions
from knarr.api.resources import Resource, Subresource
from knarr.apimachinery import fields
from knarr.apimachinery.types import Object
from knarr.apiserver import selectable, selectors, traits
from knarr.apiserver.matching import criteria
from knarr.apiserver.messages import Messages
from knarr.apiserver.selectable import Getter
from knarr.apiserver.traits import Traits
from knarr.apiserver.watch_cache import Collection, Entry, WatchCache

_DEPRECATED = {
    ("", "v1", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
    ("", "v1", "endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}


class Converter(Protocol):
    """Converts the objects of one served version, where that needs waiting. All raise `StatusError`."""

    async def reading(self) -> Scope:
        """The version as a scope to read from, up to date."""
        ...

    async def view(self, entry: Entry) -> Entry:
        """A stored entry as the version shows it."""
        ...

    async def shown(self, obj: Object) -> Object:
        """An object of any version in this one. Raises `StatusError`."""
        ...

    async def stored_form(self, obj: Object) -> Object:
        """An object of the version as it is stored."""
        ...


Getters: TypeAlias = dict[str, Getter]


@dataclass(slots=True, eq=False)
class Scope:
    """One served resource in one version."""

    resource: Resource
    #: The same resource in the version that is stored.
    stored: Resource
    #: None for kinds that are never stored (reviews, bindings).
    collection: Collection | None
    traits: Traits
    getters: dict[str, Getter]
    transform: fields.Transform
    subresources: dict[str, Subresource] = field(default_factory=dict)
    #: Warned of with every answer.
    deprecation: str = ""
    messages: Messages = field(default_factory=Messages)

    #: Set where a webhook converts: reads are of what it gives, not of the collection.
    converter: Converter | None = None

    @property
    def converts(self) -> bool:
        """Whether objects are stored in another version than they are served in."""
        return self.stored is not self.resource

    @property
    def verbs(self) -> tuple[str, ...]:
        """What can be done, be it that discovery does not say so any more."""
        return self.resource.verbs if self.resource.custom is None else definition.VERBS

    @property
    def keep(self) -> Collection:
        """The collection of a resource that is stored. Raises `LookupError` for others."""
        if self.collection is None:
            raise LookupError(f"{self.resource.plural} are not stored")
        return self.collection

    def prefix(self, namespace: str) -> str:
        """Where the objects of a namespace (or all) lie in the store."""
        base = self.keep.prefix
        return f"{base}{namespace}/" if namespace and self.resource.namespaced else base


class ServedResources:
    """All scopes; custom resources come and go while the server runs."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._scopes: dict[tuple[str, str, str], Scope] = {}
        #: Served resources of each group's versions, in discovery order.
        self._versions: dict[str, dict[str, list[Resource]]] = {}
        #: Grows with every change: what is derived from the table is made anew when it has.
        self.generation = 0
        #: Groups of built-in resources, in order.
        self._built_in: dict[str, None] = {}
        self._groups: dict[str, list[str]] | None = None
        self._equivalents: dict[tuple[Resource, str], list[Resource]] = {}
        self._equivalents_of = 0

    def add_all(self, resources: Iterable[Resource]) -> None:
        """Serve built-in resources."""
        for resource in resources:
            self._built_in[resource.group] = None
            stored = _stored(resource)
            self.add(resource, stored, traits.of(resource))

    def add(self, resource: Resource, stored: Resource, traits_: Traits) -> Scope:
        """Serve a resource."""
        collection = self._cache.add(stored, stored.api_version) if resource.storage else None
        getters = selectable.getters(resource.group, resource.plural, namespaced=True)
        scope = Scope(
            resource=resource,
            stored=stored,
            collection=collection,
            traits=traits_,
            getters=getters,
            transform=selectors.transform_of(resource),
            subresources={item.name: item for item in resource.subresources},
            deprecation=_DEPRECATED.get((resource.group, resource.version, resource.plural), ""),
        )
        self._put(scope)
        return scope

    def add_custom(self, resource: Resource, stored: Resource, collection: Collection, getters: Getters) -> Scope:
        """Serve a custom resource, in the place of what was served under its path before."""
        self.remove(resource)
        custom = resource.custom
        scope = Scope(
            resource=resource,
            stored=stored,
            collection=collection,
            traits=Traits(unconditional_update=False),
            getters=getters,
            transform=selectors.custom_transform(resource),
            subresources={item.name: item for item in resource.subresources},
            deprecation=custom.deprecation if custom is not None else "",
        )
        self._put(scope)
        return scope

    def _put(self, scope: Scope) -> None:
        resource = scope.resource
        self._scopes[resource.group, resource.version, resource.plural] = scope
        self._versions.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
        self._changed()

    def remove(self, resource: Resource) -> None:
        """Serve a resource no longer; its collection stays for what is left in the store."""
        scope = self._scopes.pop((resource.group, resource.version, resource.plural), None)
        if scope is None:
            return
        group = self._versions[resource.group]
        group[resource.version].remove(scope.resource)
        if not group[resource.version]:
            del group[resource.version]
        if not group:
            del self._versions[resource.group]
        self._changed()

    def _changed(self) -> None:
        self.generation += 1
        self._groups = None

    def get(self, group: str, version: str, plural: str) -> Scope | None:
        """The scope of a path."""
        return self._scopes.get((group, version, plural))

    def of(self, resource: Resource) -> Scope:
        """The scope of a resource. Raises `KeyError`."""
        return self._scopes[resource.group, resource.version, resource.plural]

    def converter(self, resource: Resource) -> Converter | None:
        """What converts to a resource's version, where a webhook does."""
        scope = self.get(resource.group, resource.version, resource.plural)
        return scope.converter if scope is not None else None

    def has(self, group: str, version: str) -> bool:
        """Whether anything is served in this version."""
        return version in self._versions.get(group, ())

    def equivalents(self, resource: Resource, subresource: str) -> list[Resource]:
        """The other resources that show the same objects, in other versions or groups, and have the subresource."""
        if self._equivalents_of != self.generation:
            self._equivalents.clear()
            self._equivalents_of = self.generation
        key = (resource, subresource)
        found = self._equivalents.get(key)
        if found is None:
            served = (scope.resource for scope in self)
            found = self._equivalents[key] = criteria.equivalents_in(served, resource, subresource)
        return found

    def in_version(self, group: str, version: str) -> Sequence[Resource]:
        """What is served in a version."""
        return self._versions.get(group, {}).get(version, ())

    def is_custom(self, group: str) -> bool:
        """Whether all that is served of a group are custom resources."""
        return group in self._versions and group not in self._built_in

    @property
    def groups(self) -> dict[str, list[str]]:
        """Groups and their versions, in discovery order: those of custom resources behind the others."""
        if self._groups is None:
            found = {group: list(self._versions[group]) for group in self._built_in if group in self._versions}
            for group in sorted(self._versions.keys() - found.keys()):
                found[group] = sorted(self._versions[group], key=versions.rank, reverse=True)
            self._groups = found
        return self._groups

    def __iter__(self) -> Iterator[Scope]:
        return iter(self._scopes.values())


def _stored(resource: Resource) -> Resource:
    """The resource in its storage version; itself when it is stored as it is served."""
    if not resource.storage or (resource.storage_group, resource.storage_version) == (resource.group, resource.version):
        return resource
    found = registry.lookup(resource.storage_group, resource.storage_version, resource.plural)
    if found is None:
        raise KeyError(f"no storage version of {resource.group}/{resource.version} {resource.plural}")
    return found
