"""Where a `proxy` request goes: pods, services and nodes by `name`, `name:port` or `scheme:name:port`.

Input: the cache, the name from the path, a chooser among equals. Output: scheme, host, port; or the `StatusError`
Kubernetes gives. Source of texts: pkg/registry/core/{pod,service,node} (ResourceLocation).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from knarr.apimachinery.errors import StatusError, bad_request, not_found, service_unavailable
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.connect import lookup

_SCHEMES = ("", "http", "https")
_SERVICE_LABEL = "kubernetes.io/service-name"


class Target(NamedTuple):
    """A backend. `kubelet` marks a node's kubelet, which is asked with the API server's own credentials."""

    scheme: str
    host: str
    port: int
    kubelet: bool = False


class Candidate(NamedTuple):
    """One endpoint of a Service that could serve."""

    host: str
    port: int


#: Picks one of several equals.
Choose = Callable[[Sequence[Candidate]], Candidate]


def split(name: str) -> tuple[str, str, str] | None:
    """Scheme, name and port (text) of a proxy name; None for one that is malformed."""
    parts = name.split(":")
    if len(parts) > 3:
        return None
    scheme = parts[0] if len(parts) == 3 else ""
    port = parts[-1] if len(parts) > 1 else ""
    found = parts[1] if len(parts) == 3 else parts[0]
    return (scheme, found, port) if found and scheme in _SCHEMES else None


def pod(reader: Reader, namespace: str, wanted: str) -> Target:
    """A pod's own address. Raises `StatusError`."""
    scheme, name, port = _split(wanted, "pod")
    found = lookup.pod(reader, namespace, name)
    port = port or _first_port(found)
    address = _pod_ip(found)
    if not _allowed(address):
        raise bad_request("address not allowed")
    return Target(scheme or "http", address, _port(port, scheme, wanted, "pod"))


def service(reader: Reader, namespace: str, wanted: str, choose: Choose) -> Target:
    """One of a Service's endpoints that is a pod. Raises `StatusError`."""
    scheme, name, port = _split(wanted, "service")
    if port.isdecimal():
        port = _port_name(reader, namespace, name, int(port))
    slices = [
        one
        for one in reader.list("endpointslices", "discovery.k8s.io", namespace)
        if (one["metadata"].get("labels") or {}).get(_SERVICE_LABEL) == name
    ]
    if not slices:
        raise not_found("services", "", name)
    candidates = [found for one in slices for found in _candidates(reader, namespace, one, port)]
    if not candidates:
        raise service_unavailable(f'no endpoints available for service "{wanted}"')
    chosen = choose(candidates)
    return Target(scheme or "http", chosen.host, chosen.port)


def node(reader: Reader, wanted: str) -> Target:
    """A node's kubelet, or another port of the node. Raises `StatusError`."""
    scheme, name, port = _split(wanted, "node")
    address = lookup.kubelet(reader, name)
    if port in ("", str(address.port)):
        return Target("https", address.host, address.port, kubelet=True)
    if not _allowed(address.host):
        raise bad_request("address not allowed")
    return Target(scheme or "http", address.host, _port(port, scheme, wanted, "node"))


def _split(wanted: str, kind: str) -> tuple[str, str, str]:
    found = split(wanted)
    if found is None:
        raise _invalid_request(kind, wanted)
    return found


def _invalid_request(kind: str, wanted: str) -> StatusError:
    return bad_request(f'invalid {kind} request "{wanted}"')


def _port(text: str, scheme: str, wanted: str, kind: str) -> int:
    if not text:
        return 443 if scheme == "https" else 80
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise _invalid_request(kind, wanted)
    return int(text)


def _first_port(pod: Object) -> str:
    for container in pod["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            return str(port["containerPort"])
    return ""


def _pod_ip(pod: Object) -> str:
    status = pod.get("status") or {}
    listed = status.get("podIPs") or ()
    return str(listed[0]["ip"]) if listed else str(status.get("podIP") or "")


def _allowed(address: str) -> bool:
    """Whether an address is one that pods and nodes have: no loopback, no multicast, no metadata service."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (ip.is_loopback or ip.is_multicast or ip.is_link_local or ip.is_unspecified)


def _port_name(reader: Reader, namespace: str, name: str, number: int) -> str:
    found = reader.get("services", "", namespace, name)
    if found is None:
        raise not_found("services", "", name)
    for port in found["spec"].get("ports") or ():
        if port["port"] == number:
            return str(port.get("name") or "")
    raise service_unavailable(f'no service port {number} found for service "{name}"')


def _candidates(reader: Reader, namespace: str, slice_: Object, port_name: str) -> Iterator[Candidate]:
    ports = [one["port"] for one in slice_.get("ports") or () if (one.get("name") or "") == port_name and "port" in one]
    for endpoint in slice_.get("endpoints") or () if ports else ():
        if (endpoint.get("conditions") or {}).get("ready", True) and _is_pod(reader, namespace, endpoint):
            yield Candidate(endpoint["addresses"][0], ports[0])


def _is_pod(reader: Reader, namespace: str, endpoint: Object) -> bool:
    """Whether an endpoint's address is that of the pod it names: nobody may point the proxy elsewhere."""
    reference = endpoint.get("targetRef") or {}
    if reference.get("kind") != "Pod" or reference.get("namespace", namespace) != namespace:
        return False
    found = reader.get("pods", "", namespace, reference.get("name", ""))
    status = (found or {}).get("status") or {}
    known = {one["ip"] for one in status.get("podIPs") or ()} | {status.get("podIP")}
    return endpoint["addresses"][0] in known
