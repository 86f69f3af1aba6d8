"""Resources: the collections the API serves, and how they are named and stored.

The served ones stand in `registry.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from knarr.apimachinery.gvk import GroupVersionKind


@dataclass(frozen=True, slots=True)
class Subresource:
    """One subresource as discovery lists it: `name` (`status`), the kind of its bodies, its verbs."""

    name: str
    kind: str
    group: str
    version: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One served collection, in one version."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...] = ()
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    #: Folder below `/registry` in the store, without slashes at its ends (`pods`, `services/specs`, `minions`).
    storage: str = ""
    #: The version objects are stored in; conversion happens at the edges.
    storage_version: str = ""
    storage_version_hash: str = field(default="")
    #: The group objects are stored in: another one for `events.k8s.io`, whose objects are core Events.
    storage_group: str = ""
    #: The `apiVersion` of the objects.
    api_version: str = field(init=False)

    def __post_init__(self) -> None:
        # Asked for many times in every request.
        object.__setattr__(self, "api_version", f"{self.group}/{self.version}" if self.group else self.version)

    @property
    def gvk(self) -> GroupVersionKind:
        """The kind of the objects."""
        return GroupVersionKind(self.group, self.version, self.kind)

    @property
    def prefix(self) -> str:
        """The URL path before `namespaces/…`: `/api/v1`, `/apis/apps/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection or of one object."""
        parts = [self.prefix]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def key(self, namespace: str, name: str) -> str:
        """The key in the store: `/registry/pods/default/a`."""
        return f"/registry/{self.storage}/{namespace}/{name}" if self.namespaced else f"/registry/{self.storage}/{name}"
