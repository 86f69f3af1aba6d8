"""API objects as Kubernetes' internal types print them: `{"Name":"a","Image":"","Command":null}`.

Some messages show a whole struct. Internal types have no JSON names, so that their fields appear by their Go names,
absent ones as zero values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knarr.api.codec.types import Shape, named
from knarr.api.validation.go_orders import IN_SECURITY_CONTEXT, ORDERS
from knarr.apimachinery.types import Object

#: Go names that are not the JSON name with a capital letter.
_NAMES = {
    "apiGroup": "APIGroup",
    "apiVersion": "APIVersion",
    "apiVersions": "APIVersions",
    "awsElasticBlockStore": "AWSElasticBlockStore",
    "azureDisk": "AzureDisk",
    "caBundle": "CABundle",
    "cel": "CEL",
    "cephfs": "CephFS",
    "chapAuthDiscovery": "DiscoveryCHAPAuth",
    "chapAuthSession": "SessionCHAPAuth",
    "cidrs": "CIDRs",
    "csi": "CSI",
    "dnsConfig": "DNSConfig",
    "dnsPolicy": "DNSPolicy",
    "downwardAPI": "DownwardAPI",
    "exactly": "Exactly",
    "fc": "FC",
    "fsGroup": "FSGroup",
    "fsGroupChangePolicy": "FSGroupChangePolicy",
    "fsType": "FSType",
    "gcePersistentDisk": "GCEPersistentDisk",
    "gmsaCredentialSpec": "GMSACredentialSpec",
    "gmsaCredentialSpecName": "GMSACredentialSpecName",
    "grpc": "GRPC",
    "httpGet": "HTTPGet",
    "httpHeaders": "HTTPHeaders",
    "ip": "IP",
    "iqn": "IQN",
    "iscsi": "ISCSI",
    "jsonPath": "JSONPath",
    "nfs": "NFS",
    "nodeID": "NodeID",
    "os": "OS",
    "pdID": "PdID",
    "pdName": "PDName",
    "rbd": "RBD",
    "readOnly": "ReadOnly",
    "scaleIO": "ScaleIO",
    "seLinuxChangePolicy": "SELinuxChangePolicy",
    "seLinuxOptions": "SELinuxOptions",
    "setHostnameAsFQDN": "SetHostnameAsFQDN",
    "storageos": "StorageOS",
    "targetWWNs": "TargetWWNs",
    "tcpSocket": "TCPSocket",
    "tty": "TTY",
    "ttlSecondsAfterFinished": "TTLSecondsAfterFinished",
    "uid": "UID",
    "url": "URL",
    "volumeID": "VolumeID",
    "wwids": "WWIDs",
}
#: Names that depend on the type.
_TYPED_NAMES = {
    ("core.v1.RBDVolumeSource", "monitors"): "CephMonitors",
    ("core.v1.RBDVolumeSource", "image"): "RBDImage",
    ("core.v1.RBDVolumeSource", "pool"): "RBDPool",
    ("core.v1.RBDVolumeSource", "user"): "RadosUser",
    ("resource.v1.DeviceAttribute", "bool"): "BoolValue",
    ("resource.v1.DeviceAttribute", "bools"): "BoolValues",
    ("resource.v1.DeviceAttribute", "int"): "IntValue",
    ("resource.v1.DeviceAttribute", "ints"): "IntValues",
    ("resource.v1.DeviceAttribute", "string"): "StringValue",
    ("resource.v1.DeviceAttribute", "strings"): "StringValues",
    ("resource.v1.DeviceAttribute", "version"): "VersionValue",
    ("resource.v1.DeviceAttribute", "versions"): "VersionValues",
}
#: Types that have JSON names in internal types too.
_TAGGED = ("meta.v1.",)
_ZEROS: dict[str, Any] = {"string": "", "boolean": False, "int32": 0, "int64": 0, "double": 0, "quantity": "0"}


def internal(type_name: str, obj: Object | None) -> Any:
    """The object of this type (`core.v1.Toleration`) as the internal struct's JSON; None stays None."""
    if obj is None:
        return None
    if type_name.startswith(_TAGGED):
        return obj
    info = named(type_name)
    order = ORDERS.get(type_name) or tuple(info.fields)
    out: Object = {}
    for name in order:
        if name == "metadata":
            # Embedded, with its own JSON names.
            given = obj.get(name) or {}
            maps = {key: dict(sorted(given[key].items())) for key in ("labels", "annotations") if given.get(key)}
            out |= {**given, **maps}
            continue
        if name == "securityContext" and type_name == "core.v1.PodSpec":
            out["SecurityContext"] = _pod_security(obj)
            continue
        found = info.fields[name]
        out[_go_name(type_name, name)] = _value(found.shape, obj.get(name), pointer=not found.drops_zero)
    return out


def _pod_security(spec: Object) -> Any:
    given = spec.get("securityContext")
    if given is None and not any(spec.get(name) for name in IN_SECURITY_CONTEXT):
        return None
    hosts = {_go_name("", name): spec.get(name, _HOST_ZEROS.get(name)) for name in IN_SECURITY_CONTEXT}
    return hosts | internal("core.v1.PodSecurityContext", given or {})


#: The others are pointers.
_HOST_ZEROS = {"hostNetwork": False, "hostPID": False, "hostIPC": False}


def internal_fields(type_name: str, obj: Object, names: Iterable[str]) -> Object:
    """Only these fields of the object, as the internal struct that holds them alone."""
    info = named(type_name)
    return {_go_name(type_name, name): _value(info.fields[name].shape, obj.get(name), pointer=True) for name in names}


def internal_list(type_name: str, objects: Any) -> Any:
    """A list of objects; None for an empty one."""
    return [internal(type_name, obj) for obj in objects] if objects else None


def _go_name(type_name: str, name: str) -> str:
    typed = _TYPED_NAMES.get((type_name, name))
    if typed is not None:
        return typed
    return _NAMES.get(name) or name[0].upper() + name[1:]


def _value(shape: Shape, value: Any, *, pointer: bool) -> Any:
    if value is None:
        return _absent(shape, pointer=pointer)
    if shape.kind == "struct":
        return internal(shape.struct, value)
    if shape.kind == "list" and shape.item is not None:
        return [_value(shape.item, item, pointer=False) for item in value]
    if shape.kind == "map" and shape.item is not None:
        return {key: _value(shape.item, value[key], pointer=False) for key in sorted(value)}
    return value


def _absent(shape: Shape, *, pointer: bool) -> Any:
    if pointer or shape.kind not in _ZEROS:
        return None
    return _ZEROS[shape.kind]
