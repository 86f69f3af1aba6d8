"""A value as Kubernetes writes it out before hashing: go-spew's `%#v` of the Go struct.

Input: a canonical object and the name of its type. Output: text like `(v1.Container){Name:(string)c …}`. Only what can
stand in a pod template is needed. What the type tables do not tell (the order of fields that were added later, Go's
spelling of names, which structs are embedded) stands here.
Source: k8s.io/apimachinery/pkg/util/dump, github.com/davecgh/go-spew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from knarr.api.codec.types import SCALARS, FieldInfo, Shape, TypeInfo, named
from knarr.apimachinery.types import Object

#: Fields that Go declares elsewhere than their numbers say: each stands before the second one.
_BEFORE = {
    "PodSpec": (
        ("initContainers", "containers"),
        ("ephemeralContainers", "restartPolicy"),
        ("automountServiceAccountToken", "nodeName"),
        ("shareProcessNamespace", "securityContext"),
    ),
    "Container": (
        ("envFrom", "env"),
        ("resizePolicy", "volumeMounts"),
        ("restartPolicy", "volumeMounts"),
        ("restartPolicyRules", "volumeMounts"),
        ("volumeDevices", "livenessProbe"),
        ("startupProbe", "lifecycle"),
        ("terminationMessagePolicy", "imagePullPolicy"),
    ),
    "PodSecurityContext": (
        ("windowsOptions", "runAsUser"),
        ("runAsGroup", "runAsNonRoot"),
        ("supplementalGroupsPolicy", "fsGroup"),
    ),
    "SecurityContext": (("windowsOptions", "runAsUser"), ("runAsGroup", "runAsNonRoot")),
    "VolumeMount": (("recursiveReadOnly", "mountPath"),),
    "JobSpec": tuple(
        (name, "selector")
        for name in ("podFailurePolicy", "successPolicy", "backoffLimit", "backoffLimitPerIndex", "maxFailedIndexes")
    ),
    "CronJobSpec": (("timeZone", "startingDeadlineSeconds"),),
    "ServicePort": (("appProtocol", "port"),),
    "ServiceSpec": (("clusterIPs", "type"),),
    "ConfigMap": (("immutable", "data"),),
    "Secret": (("immutable", "data"),),
    "PodStatus": (("observedGeneration", "phase"),),
    "DeploymentStatus": (("readyReplicas", "availableReplicas"), ("terminatingReplicas", "conditions")),
    "OwnerReference": (("apiVersion", "kind"),),
    "ISCSIVolumeSource": (("chapAuthDiscovery", "secretRef"), ("chapAuthSession", "secretRef")),
    "ClusterTrustBundleProjection": (("labelSelector", "path"), ("optional", "path")),
    "PersistentVolumeClaimSpec": (("selector", "resources"),),
}
#: Names that Go does not merely begin with a capital.
_NAMES = {
    "awsElasticBlockStore": "AWSElasticBlockStore",
    "apiGroup": "APIGroup",
    "apiVersion": "APIVersion",
    "cephfs": "CephFS",
    "chapAuthDiscovery": "DiscoveryCHAPAuth",
    "chapAuthSession": "SessionCHAPAuth",
    "csi": "CSI",
    "dnsConfig": "DNSConfig",
    "dnsPolicy": "DNSPolicy",
    "fc": "FC",
    "gcePersistentDisk": "GCEPersistentDisk",
    "gmsaCredentialSpec": "GMSACredentialSpec",
    "gmsaCredentialSpecName": "GMSACredentialSpecName",
    "grpc": "GRPC",
    "httpGet": "HTTPGet",
    "httpHeaders": "HTTPHeaders",
    "ip": "IP",
    "iqn": "IQN",
    "iscsi": "ISCSI",
    "iscsiInterface": "ISCSIInterface",
    "metadata": "ObjectMeta",
    "nfs": "NFS",
    "os": "OS",
    "pdID": "PdID",
    "pdName": "PDName",
    "rbd": "RBD",
    "serviceAccount": "DeprecatedServiceAccount",
    "sslEnabled": "SSLEnabled",
    "storageos": "StorageOS",
    "tcpSocket": "TCPSocket",
    "tty": "TTY",
    "uid": "UID",
    "wwids": "WWIDs",
}
#: Names that differ in one type alone.
_NAMES_IN = {
    ("AzureDiskVolumeSource", "diskURI"): "DataDiskURI",
    ("RBDVolumeSource", "fsType"): "FSType",
    ("RBDVolumeSource", "monitors"): "CephMonitors",
    ("RBDVolumeSource", "image"): "RBDImage",
    ("RBDVolumeSource", "pool"): "RBDPool",
    ("RBDVolumeSource", "user"): "RadosUser",
    ("GlusterfsVolumeSource", "endpoints"): "EndpointsName",
}
#: Fields of special types that are behind a pointer.
_POINTERS = frozenset({"deletionTimestamp", "sizeLimit"})
_ZERO_TIME = "{Time:(time.Time){wall:(uint64)0 ext:(int64)0 loc:(*time.Location)<nil>}}"
_QUANTITY = re.compile(r"(-?\d+)([a-zA-Z]*)", re.ASCII)
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def dump(obj: Object, type_name: str) -> str:
    """The text of a struct. Raises `KeyError` for a type there is not."""
    info = named(type_name)
    return f"({info.go}){_struct(info, obj)}"


def _struct(info: TypeInfo, obj: Object) -> str:
    return "{" + " ".join(_members(info, obj)) + "}"


def _members(info: TypeInfo, obj: Object) -> Iterator[str]:
    """`Name:(type)value` of each field; fields of an embedded struct stand together, inside its braces."""
    inside: list[str] = []
    embedded = ""
    for field in ordered(info):
        parent = field.go.rpartition(".")[0]
        if inside and parent != embedded:
            yield _embedded(embedded, inside)
            inside = []
        embedded = parent
        text = f"{_go_name(info, field)}:{_field(field, obj.get(field.name))}"
        if parent:
            inside.append(text)
        else:
            yield text
    if inside:
        yield _embedded(embedded, inside)


def _embedded(name: str, members: list[str]) -> str:
    return f"{name}:(v1.{name}){{{' '.join(members)}}}"


@cache
def ordered(info: TypeInfo) -> tuple[FieldInfo, ...]:
    """The fields in the order in which Go declares them."""
    names = list(info.fields)
    for moved, before in _BEFORE.get(info.go_name, ()):
        names.remove(moved)
        names.insert(names.index(before), moved)
    return tuple(info.fields[name] for name in names)


def _go_name(info: TypeInfo, field: FieldInfo) -> str:
    plain = field.name[0].upper() + field.name[1:]
    if (info.go_name, field.name) in _NAMES_IN:
        return _NAMES_IN[info.go_name, field.name]
    named_so = _NAMES.get(field.name)
    if named_so is not None:
        return named_so
    return plain.replace("FsType", "FSType").replace("FsGroup", "FSGroup").replace("SeLinux", "SELinux")


def _field(field: FieldInfo, value: Any) -> str:
    shape = field.shape
    if _is_pointer(field):
        return f"(*{shape.go}){'<nil>' if value is None else _value(shape, value)}"
    return f"({shape.go}){_value(shape, value)}"


def _is_pointer(field: FieldInfo) -> bool:
    kind = field.shape.kind
    if kind == "struct":
        return field.default is ...
    if kind in SCALARS:
        return not field.drops_zero
    return field.name in _POINTERS


def _value(shape: Shape, value: Any) -> str:
    """A value without its type; `value` is None where it is absent."""
    match shape.kind:
        case "struct":
            return _struct(shape.info, value or {})
        case "list":
            return _list(shape, value)
        case "map":
            return _map(shape, value)
        case kind if kind in _PLAIN:
            return _PLAIN[kind](value)
        case _:
            return "" if value is None else str(value)


def _list(shape: Shape, value: Any) -> str:
    if not value or shape.item is None:
        return "<nil>"
    item = shape.item
    return "[" + " ".join(_value(item, one) for one in value) + "]"


def _map(shape: Shape, value: Any) -> str:
    if not value or shape.item is None:
        return "<nil>"
    item = shape.item
    return "map[" + " ".join(f"{key}:{_value(item, value[key])}" for key in sorted(value)) + "]"


def _quantity(value: Any) -> str:
    text = "" if value is None else str(value)
    match = _QUANTITY.fullmatch(text)
    amount, scale, form = 0, 0, ""
    if match is not None and text != "0":
        amount, suffix = int(match[1]), match[2]
        form = "BinarySI" if suffix in _BINARY else "DecimalSI"
        amount <<= _BINARY.get(suffix, 0)
        scale = _DECIMAL.get(suffix, 0)
    inner = f"i:(resource.int64Amount){{value:(int64){amount} scale:(resource.Scale){scale}}}"
    return (
        f"{{{inner} d:(resource.infDecAmount){{Dec:(*inf.Dec)<nil>}} s:(string){text} Format:(resource.Format){form}}}"
    )


def _int_or_string(value: Any) -> str:
    kind, number, text = (1, 0, value) if isinstance(value, str) else (0, value or 0, "")
    return f"{{Type:(intstr.Type){kind} IntVal:(int32){number} StrVal:(string){text}}}"


_PLAIN: dict[str, Callable[[Any], str]] = {
    "boolean": lambda value: "true" if value else "false",
    "int32": lambda value: str(value or 0),
    "int64": lambda value: str(value or 0),
    "quantity": _quantity,
    "int_or_string": _int_or_string,
    "time": lambda value: _ZERO_TIME,
}
