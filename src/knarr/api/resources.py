"""Resources: the collections the API serves, and how they are named and stored.

The served ones stand in `registry.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from knarr.apimachinery.gvk import GroupVersionKind
from knarr.apimachinery.types import Object


@dataclass(frozen=True, slots=True)
class Subresource:
    """One subresource as discovery lists it: `name` (`status`), the kind of its bodies, its verbs."""

    name: str
    kind: str
    group: str
    version: str
    verbs: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Definition:
    """The CustomResourceDefinition that custom resources come from, one for all its versions."""

    name: str
    uid: str
    #: The JSON of the definition as the cache has it; schemas are read from it when they are wanted.
    body: bytes
    #: The version that objects are stored in.
    storage_version: str
    #: `spec.conversion`.
    conversion: Mapping[str, Any]
    #: The kind of lists of its objects.
    list_kind: str = ""
    #: It is being deleted, with all objects.
    ends: bool = False
    #: Fields that no schema knows are kept.
    preserves: bool = False
    #: Changes when anything does that its objects are served by.
    fingerprint: str = ""
    #: All versions, served or not, in the order of the definition.
    versions: dict[str, Resource] = field(default_factory=dict)

    @property
    def calls_webhook(self) -> bool:
        """Whether a webhook converts between versions; else their objects differ in `apiVersion` alone."""
        return self.conversion.get("strategy") == "Webhook"


@dataclass(frozen=True, slots=True, eq=False)
class CustomVersion:
    """What a version of a definition says of its objects."""

    definition: Definition
    #: Its place in `spec.versions`.
    at: int
    served: bool = True
    has_status: bool = False
    #: `subresources.scale`, if there is one.
    scale: Mapping[str, str] | None = None
    #: `additionalPrinterColumns`.
    columns: tuple[Mapping[str, Any], ...] = ()
    #: JSONPaths of `selectableFields` (`.spec.color`).
    selectable: tuple[str, ...] = ()
    #: What clients are warned of.
    deprecation: str = ""

    def schema(self) -> Object:
        """`openAPIV3Schema`, decoded anew."""
        spec = orjson.loads(self.definition.body)["spec"]
        found: Object = (spec["versions"][self.at].get("schema") or {}).get("openAPIV3Schema") or {}
        return found


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
    #: Of a custom resource, what its definition says.
    custom: CustomVersion | None = None
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
