"""Which resources the kind of a reference may mean: the built-in ones, and those of definitions. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.api.custom import definition
from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS, RESOURCES
from knarr.api.resources import Resource
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.types import Object
from knarr.controller_runtime.snapshot import Snapshot


class TargetError(Exception):
    """A reference that names nothing; the text says why."""


def of(reference: Object, snapshot: Snapshot) -> Resource:
    """The resource of a reference's kind; of its versions the best, as in Kubernetes. Raises `TargetError`."""
    version, kind = reference.get("apiVersion", ""), reference.get("kind", "")
    if version.count("/") > 1:
        raise TargetError(f"unexpected GroupVersion string: {version}")
    group, _ = parse_api_version(version)
    for resource in (*RESOURCES, *_custom(snapshot)):
        if (resource.group, resource.kind) == (group, kind) and _is_collection(resource):
            return resource
    raise TargetError(f'no matches for kind "{kind}" in group "{group}"')


def _is_collection(resource: Resource) -> bool:
    """Bindings, reviews and the like are created only."""
    return "get" in resource.verbs


def _custom(snapshot: Snapshot) -> Iterator[Resource]:
    for crd in snapshot.list(CUSTOMRESOURCEDEFINITIONS):
        found = definition.preferred(crd)
        if found is not None:
            yield found
