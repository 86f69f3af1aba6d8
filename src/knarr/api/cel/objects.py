"""Objects that Kubernetes gives to expressions, and those that expressions may construct.

Sources: https://pkg.go.dev/k8s.io/apiserver/pkg/admission/plugin/cel, https://pkg.go.dev/k8s.io/apiserver/pkg/cel/mutation,
https://pkg.go.dev/k8s.io/dynamic-resource-allocation/cel.
"""

from __future__ import annotations

from collections.abc import Mapping

from knarr.api.cel.types import BOOL, DYN, INT, STRING, TIMESTAMP, Field, Type, list_of, map_of, object_type, parse

_TEXTS = list_of(STRING)
_KIND = object_type("kubernetes.GroupVersionKind", dict.fromkeys(("group", "version", "kind"), STRING))
_RESOURCE = object_type("kubernetes.GroupVersionResource", dict.fromkeys(("group", "version", "resource"), STRING))
_USER = object_type(
    "kubernetes.UserInfo",
    {"username": STRING, "uid": STRING, "groups": _TEXTS, "extra": map_of(STRING, _TEXTS)},
)
_REQUEST = object_type(
    "kubernetes.AdmissionRequest",
    {
        "kind": _KIND,
        "resource": _RESOURCE,
        "subResource": STRING,
        "requestKind": _KIND,
        "requestResource": _RESOURCE,
        "requestSubResource": STRING,
        "name": STRING,
        "namespace": STRING,
        "operation": STRING,
        "userInfo": _USER,
        "dryRun": BOOL,
        "options": DYN,
    },
)
_CONDITION = object_type(
    "kubernetes.NamespaceCondition",
    {**dict.fromkeys(("status", "type", "message", "reason"), STRING), "lastTransitionTime": TIMESTAMP},
)
_METADATA = object_type(
    "kubernetes.NamespaceMetadata",
    {
        **dict.fromkeys(("name", "generateName", "namespace", "UID", "resourceVersion"), STRING),
        **dict.fromkeys(("labels", "annotations"), map_of(STRING, STRING)),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), TIMESTAMP),
        **dict.fromkeys(("deletionGracePeriodSeconds", "generation"), INT),
        "finalizers": _TEXTS,
    },
)
_NAMESPACE = object_type(
    "kubernetes.Namespace",
    {
        "metadata": _METADATA,
        "spec": object_type("kubernetes.NamespaceSpec", {"finalizers": _TEXTS}),
        "status": object_type("kubernetes.NamespaceStatus", {"conditions": list_of(_CONDITION), "phase": STRING}),
    },
)
_DEVICE = object_type(
    "kubernetes.DRADevice",
    {
        "driver": STRING,
        "attributes": map_of(STRING, map_of(STRING, DYN)),
        "capacity": map_of(STRING, map_of(STRING, parse("Quantity"))),
        "allowMultipleAllocations": BOOL,
    },
)
#: Objects by the names of their types.
KNOWN: Mapping[str, Type] = {kind.name: kind for kind in (_REQUEST, _NAMESPACE, _DEVICE, _USER)}
_PATCH: Mapping[str, Field] = {
    **{name: Field(STRING, name) for name in ("op", "path", "from")},
    "value": Field(DYN, "value"),
}


def constructed(name: str, allowed: frozenset[str]) -> Type | None:
    """The type of an object that is constructed under a name (`Object.metadata`), if it may be."""
    outer = name.partition(".")[0]
    if outer not in allowed:
        return None
    if outer == "JSONPatch":
        return Type("object", name, find=_PATCH.get) if name == outer else None
    return Type("object", name, find=lambda key: Field(DYN, key))
