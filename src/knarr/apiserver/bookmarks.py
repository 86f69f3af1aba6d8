"""Bookmarks: objects of a watched kind that carry a resourceVersion and nothing else.

Kubernetes makes one by converting an empty internal object, so that some fields have a value that no client could
leave out. Source: k8s.io/apiserver/pkg/storage/cacher, pkg/apis/apps/v1/conversion.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from knarr.apimachinery.types import Object
from knarr.apiserver import kinds
from knarr.apiserver.negotiation import TABLE, Form
from knarr.apiserver.served import Scope

INITIAL_END = "k8s.io/initial-events-end"
#: Kinds whose internal form has a number of replicas where the versions may have none.
_REPLICATED = frozenset({("apps", "Deployment"), ("apps", "ReplicaSet"), ("apps", "StatefulSet")})
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def of(scope: Scope, form: Form, revision: int, *, ends_initial: bool = False) -> Object:
    """The bookmark of a revision, as the kind or as metadata; `ends_initial` marks the end of what existed."""
    meta: Object = {"resourceVersion": str(revision)}
    notes: dict[str, str] = {INITIAL_END: "true"} if ends_initial else {}
    resource = scope.resource
    if (resource.group, resource.kind) == ("apps", "DaemonSet"):
        notes[_TEMPLATE_GENERATION] = "0"
    if notes:
        meta["annotations"] = notes
    if form.kind and form.kind != TABLE:
        return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
    obj: Object = {"kind": resource.kind, "apiVersion": resource.api_version}
    if (resource.group, resource.kind) in _REPLICATED:
        obj["spec"] = {"replicas": 0}
    empty = obj if resource.custom is not None else kinds.normalise(resource, {**obj, "metadata": {}})[0]
    if form.kind:
        # Printers show a name and a time; an empty object has neither.
        return {**empty, "metadata": {"name": "", **meta}}
    return {**empty, "metadata": meta}


def as_table(table: Object, bookmark: Object, options: Mapping[str, str], *, columns: bool) -> Object:
    """The Table of a bookmark: its row names what the client wants of the object."""
    meta = {key: value for key, value in bookmark["metadata"].items() if key != "name"}
    include = options.get("includeObject", "")
    row = table["rows"][0]
    shown: Object | None = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
    if include == "Object":
        shown = {**bookmark, "metadata": meta}
    row["object"] = None if include == "None" else shown
    definitions = table["columnDefinitions"] if columns else None
    return {**table, "metadata": {"resourceVersion": meta["resourceVersion"]}, "columnDefinitions": definitions}
