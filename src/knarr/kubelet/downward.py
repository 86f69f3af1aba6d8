"""The downward API: a pod's own fields and its containers' resources as text.

Input: the pod, what the node knows beside it (addresses, allocatable). Output: text. Raises `DownwardError`.
https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from knarr.api.semantics.pod_requests import amount
from knarr.apimachinery import quantity
from knarr.apimachinery.types import Object

#: Resources that a container without a limit gets the node's whole amount of.
_DEFAULTED = ("cpu", "memory", "ephemeral-storage")
_RESOURCE = re.compile(r"(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)")
_SUBSCRIPT = re.compile(r"(.+)\['([^']*)'\]", re.DOTALL)
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


class DownwardError(ValueError):
    """A reference that names no field or container."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of a pod and its host, the first one being the main one; empty while unknown."""

    pod: Sequence[str] = ()
    host: Sequence[str] = ()


def field_value(pod: Object, path: str, addresses: Addresses | None = None) -> str:
    """What a `fieldRef` stands for. Only environments give addresses and may refer to spec and status."""
    if addresses is not None:
        known = _runtime_fields(pod, addresses)
        if path in known:
            return known[path]
    metadata = pod.get("metadata") or {}
    match = _SUBSCRIPT.fullmatch(path)
    if match:
        if match[1] not in ("metadata.annotations", "metadata.labels"):
            raise DownwardError(f'fieldPath "{match[1]}" does not support subscript')
        return str((metadata.get(match[1].removeprefix("metadata.")) or {}).get(match[2], ""))
    if path in ("metadata.annotations", "metadata.labels"):
        return format_map(metadata.get(path.removeprefix("metadata.")) or {})
    if path in ("metadata.name", "metadata.namespace", "metadata.uid"):
        return str(metadata.get(path.removeprefix("metadata."), ""))
    raise DownwardError(f"unsupported fieldPath: {path}")


def _runtime_fields(pod: Object, addresses: Addresses) -> dict[str, str]:
    spec = pod.get("spec") or {}
    return {
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": addresses.host[0] if addresses.host else "",
        "status.hostIPs": ",".join(addresses.host),
        "status.podIP": addresses.pod[0] if addresses.pod else "",
        "status.podIPs": ",".join(addresses.pod),
    }


def format_map(values: Mapping[str, str]) -> str:
    """Labels or annotations as a file: `key="value"` a line, by key."""
    return "\n".join(f"{key}={quote(values[key])}" for key in sorted(values))


def quote(text: str) -> str:
    """A text as Go's `%q` writes it."""
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char.isprintable() and (char.isascii() or not char.isspace()):
            out.append(char)
        else:
            out.append(_numbered(ord(char)))
    return f'"{"".join(out)}"'


def _numbered(code: int) -> str:
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def resource_value(pod: Object, container: Object, reference: Object, allocatable: Mapping[str, object]) -> str:
    """What a `resourceFieldRef` stands for, in units of its divisor, rounded up."""
    name = reference.get("resource", "")
    match = _RESOURCE.fullmatch(name)
    if match is None:
        raise DownwardError(f"Unsupported container resource : {name}")
    kind, resource = match[1], match[2]
    resources = container.get("resources") or {}
    value: object = (resources.get(kind) or {}).get(resource)
    if kind == "limits" and resource in _DEFAULTED and not amount(resource, value):
        value = _most(pod, resource, allocatable)
    divisor = quantity.from_json(reference.get("divisor"))
    if divisor.is_zero():
        divisor = quantity.of(1)
    whole = quantity.from_json(value)
    if resource == "cpu":
        return str(-(-whole.milli() // divisor.milli()))
    return str(-(-whole.value() // divisor.value()))


def _most(pod: Object, resource: str, allocatable: Mapping[str, object]) -> object:
    """The pod's own limit, if it has one below what the node can give."""
    node = allocatable.get(resource)
    limit = (((pod.get("spec") or {}).get("resources") or {}).get("limits") or {}).get(resource)
    if limit is None or (node is not None and amount(resource, node) < amount(resource, limit)):
        return node
    return limit


def find_container(pod: Object, name: str) -> Object:
    """The container a `resourceFieldRef` of a volume names. Raises `DownwardError`."""
    spec = pod.get("spec") or {}
    for group in ("containers", "initContainers"):
        for container in spec.get(group) or ():
            if container.get("name") == name:
                found: Object = container
                return found
    raise DownwardError(f"container {name} not found")
