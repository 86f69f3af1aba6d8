"""Which fields a `fieldSelector` may name for each resource, and how they are read from an object's bytes.

Every resource has `metadata.name` and `metadata.namespace`; the rest is listed here as the registry strategies of
kube-apiserver list it. Only the fields named are decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec


class Meta(msgspec.Struct):
    """The metadata that lists, watches and indexes need."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] | None = None


class Head(msgspec.Struct):
    """The least that is decoded of any object."""

    metadata: Meta


class _PodSpec(msgspec.Struct):
    nodeName: str = ""
    restartPolicy: str = ""
    schedulerName: str = ""
    serviceAccountName: str = ""
    hostNetwork: bool = False


class _PodStatus(msgspec.Struct):
    phase: str = ""
    podIP: str = ""
    nominatedNodeName: str = ""


class _Pod(Head):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _Reference(msgspec.Struct):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    apiVersion: str = ""
    resourceVersion: str = ""
    fieldPath: str = ""


class _Source(msgspec.Struct):
    component: str = ""


class _Event(Head):
    involvedObject: _Reference = msgspec.field(default_factory=_Reference)
    source: _Source = msgspec.field(default_factory=_Source)
    reason: str = ""
    reportingComponent: str = ""
    type: str = ""


class _NodeSpec(msgspec.Struct):
    unschedulable: bool = False


class _Node(Head):
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)


class _Secret(Head):
    type: str = ""


class _PhaseStatus(msgspec.Struct):
    phase: str = ""


class _Namespace(Head):
    status: _PhaseStatus = msgspec.field(default_factory=_PhaseStatus)


class _ReplicasStatus(msgspec.Struct):
    replicas: int = 0


class _Replicated(Head):
    status: _ReplicasStatus = msgspec.field(default_factory=_ReplicasStatus)


class _JobStatus(msgspec.Struct):
    succeeded: int = 0


class _Job(Head):
    status: _JobStatus = msgspec.field(default_factory=_JobStatus)


class _CsrSpec(msgspec.Struct):
    signerName: str = ""


class _Csr(Head):
    spec: _CsrSpec = msgspec.field(default_factory=_CsrSpec)


class _ServiceSpec(msgspec.Struct):
    clusterIP: str = ""
    type: str = ""


class _Service(Head):
    spec: _ServiceSpec = msgspec.field(default_factory=_ServiceSpec)


class _SliceSpec(msgspec.Struct):
    nodeName: str = ""
    driver: str = ""


class _ResourceSlice(Head):
    spec: _SliceSpec = msgspec.field(default_factory=_SliceSpec)


class _IPAddressRef(msgspec.Struct):
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""


Getter: TypeAlias = Callable[[Any], str]

_METADATA: dict[str, Getter] = {
    "metadata.name": lambda head: head.metadata.name,
    "metadata.namespace": lambda head: head.metadata.namespace,
}
_NAME_ONLY: dict[str, Getter] = {"metadata.name": _METADATA["metadata.name"]}


def _path(path: str) -> Getter:
    first, *rest = path.split(".")

    def read(head: Any) -> str:
        value = getattr(head, first)
        for part in rest:
            value = getattr(value, part)
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    return read


def _fields(*paths: str, **renamed: str) -> dict[str, Getter]:
    out = {path: _path(path) for path in paths}
    out.update({label: _path(path) for label, path in renamed.items()})
    return out


_REPLICATED = (_Replicated, _fields("status.replicas"))
_INVOLVED = [f"involvedObject.{part}" for part in _Reference.__struct_fields__]

_BY_RESOURCE: dict[tuple[str, str], tuple[type[Head], dict[str, Getter]]] = {
    ("", "pods"): (
        _Pod,
        {
            **_fields(
                "spec.nodeName",
                "spec.restartPolicy",
                "spec.schedulerName",
                "spec.serviceAccountName",
                "spec.hostNetwork",
                "status.phase",
                "status.podIP",
                "status.nominatedNodeName",
            ),
            # It may be asked for and is never set: kube-apiserver accepts the label and keeps no such field.
            "status.podIPs": lambda _: "",
        },
    ),
    ("", "events"): (
        _Event,
        {
            **_fields(*_INVOLVED, "reason", "type", "reportingComponent"),
            "source": lambda head: head.source.component or head.reportingComponent,
        },
    ),
    ("", "nodes"): (_Node, _fields("spec.unschedulable")),
    ("", "secrets"): (_Secret, _fields("type")),
    ("", "namespaces"): (_Namespace, {"name": _METADATA["metadata.name"], **_fields("status.phase")}),
    ("", "replicationcontrollers"): _REPLICATED,
    ("", "services"): (_Service, _fields("spec.clusterIP", "spec.type")),
    ("apps", "replicasets"): _REPLICATED,
    ("batch", "jobs"): (_Job, {"status.successful": _path("status.succeeded")}),
    ("certificates.k8s.io", "certificatesigningrequests"): (_Csr, _fields("spec.signerName")),
    ("resource.k8s.io", "resourceslices"): (_ResourceSlice, _fields("spec.nodeName", "spec.driver")),
}


def head_type(group: str, plural: str) -> type[Head]:
    """The partial type to decode for a resource."""
    found = _BY_RESOURCE.get((_store_group(group), plural))
    return found[0] if found else Head


def getters(group: str, plural: str, *, namespaced: bool) -> dict[str, Getter]:
    """The selectable fields of a resource: label → function on the decoded head."""
    base = _METADATA if namespaced else _NAME_ONLY
    found = _BY_RESOURCE.get((_store_group(group), plural))
    return {**base, **found[1]} if found else dict(base)


def _store_group(group: str) -> str:
    """Both Event groups are one resource."""
    return "" if group == "events.k8s.io" else group
