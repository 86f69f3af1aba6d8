"""Makes the Tables that `kubectl get` asks for."""

from __future__ import annotations

from collections.abc import Mapping

from knarr.api.printers import table
from knarr.api.registry import EVENTS, HPAS
from knarr.api.resources import Resource
from knarr.apimachinery.errors import bad_request
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds
from knarr.apiserver.served import Scope
from knarr.component_base.clock import Clock

#: Kinds are printed in one version, whichever was asked for.
_PRINTED = {"events": EVENTS, "horizontalpodautoscalers": HPAS}
#: Resource → the annotation that a version writes for a field of the internal type.
_FIELD_ANNOTATIONS = {"daemonsets": "deprecated.daemonset.template.generation"}
_INCLUDES = ("", "None", "Metadata", "Object")


class TablePrinter:
    """Implements `context.Tables`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def table(self, scope: Scope, objects: list[Object], options: Mapping[str, str]) -> Object:
        """A Table without list metadata. Raises `StatusError` 400 for an unknown `includeObject`."""
        include = check_options(options)
        resource = scope.resource
        part = "scale" if objects and objects[0]["kind"] == "Scale" else ""
        if resource.custom is not None and not part:
            return self._custom(resource, objects, include)
        rows = [self._row(resource, obj, include, part) for obj in table.ordered(resource, objects)]
        head: Object = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}}
        head["columnDefinitions"] = table.columns(resource, part)
        head["rows"] = rows
        return head

    def _custom(self, resource: Resource, objects: list[Object], include: str) -> Object:
        from knarr.api.custom import columns

        head: Object = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}}
        head["columnDefinitions"] = columns.columns(resource)
        now = self._clock.now()
        head["rows"] = [
            {"cells": columns.cells(resource, obj, now), "object": _included(resource, obj, include)} for obj in objects
        ]
        return head

    def _row(self, resource: Resource, obj: Object, include: str, part: str) -> Object:
        printed = resource if part else _PRINTED.get(resource.plural, resource)
        shown = obj if printed is resource else kinds.convert(obj, resource, printed)
        # Bookmarks have no name, and a conversion drops an empty one.
        shown["metadata"].setdefault("name", "")
        row: Object = {"cells": table.cells(resource, shown, self._clock.now(), part)}
        if conditions := table.row_conditions(resource, shown):
            row["conditions"] = conditions
        row["object"] = obj if include == "Object" else _included(resource, shown, include)
        return row


def check_options(options: Mapping[str, str]) -> str:
    """The `includeObject` of a query. Raises `StatusError` 400 for an unknown one."""
    include = options.get("includeObject", "")
    if include not in _INCLUDES:
        raise bad_request(
            f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": '
            "must be 'Metadata', 'Object', 'None', or empty"
        )
    return include


def _included(resource: Resource, obj: Object, include: str) -> Object | None:
    if include == "Object":
        return obj
    return None if include == "None" else _partial(resource, obj)


def _partial(resource: Resource, obj: Object) -> Object:
    """The metadata that Kubernetes keeps: without annotations that stand for fields in a version alone."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": _without(
            obj["metadata"], _FIELD_ANNOTATIONS.get(resource.plural, "") if resource.custom is None else ""
        ),
    }


def _without(meta: Object, annotation: str) -> Object:
    annotations = meta.get("annotations") or {}
    if annotation not in annotations:
        return meta
    rest = {name: value for name, value in meta.items() if name != "annotations"}
    kept = {name: value for name, value in annotations.items() if name != annotation}
    return {**rest, "annotations": kept} if kept else rest
