"""Where a webhook or an extension API server is reached: the address behind a Service.

Input: reads of the cache. Output: host and port to connect to, or the error that Kubernetes words so.
Source: k8s.io/apiserver/pkg/util/proxy.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from knarr.apimachinery.errors import not_found, service_unavailable
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader

#: The port of a Service that is called when none is named.
DEFAULT_PORT = 443
_ROUTED = ("ClusterIP", "LoadBalancer", "NodePort")
_SERVICE_LABEL = "kubernetes.io/service-name"


class ServicePort(NamedTuple):
    """A Service's port."""

    namespace: str
    name: str
    port: int = DEFAULT_PORT

    @property
    def server_name(self) -> str:
        """The name that its certificate must be for."""
        return f"{self.name}.{self.namespace}.svc"


class HostPort(NamedTuple):
    """Where to connect."""

    host: str
    port: int


#: Picks one of several equals.
Choose = Callable[[Sequence[HostPort]], HostPort]
#: Finds the address behind a Service's port. Raises `StatusError`.
Resolve = Callable[[ServicePort], HostPort]


def service_port(reference: Object) -> ServicePort:
    """The Service of a `clientConfig` or an APIService."""
    return ServicePort(reference["namespace"], reference["name"], reference.get("port") or DEFAULT_PORT)


def url_of(client_config: Object) -> str:
    """The URL of a `clientConfig`, as errors show it. Raises `ValueError` for one that has none."""
    reference = client_config.get("service")
    if reference:
        service = service_port(reference)
        return f"https://{service.server_name}:{service.port}{_path(reference.get('path') or '')}"
    url = client_config.get("url")
    if not url:
        raise ValueError("webhook configuration must have either service or URL")
    head, separator, rest = str(url).partition("://")
    host, _, path = rest.partition("/")
    return f"{head}{separator}{host}{_path(path)}"


def _path(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


def resolve(reader: Reader, service: ServicePort, choose: Choose) -> HostPort:
    """One of a Service's ready endpoints, as with kube-apiserver's `--enable-aggregator-routing`. Raises `StatusError`.

    The address of an ExternalName is its name.
    """
    found = reader.get("services", "", service.namespace, service.name)
    if found is None:
        # Go's lister names no group and no namespace here.
        raise not_found("service", "", service.name)
    spec = found["spec"]
    kind = spec.get("type", "ClusterIP")
    if kind == "ExternalName":
        return HostPort(spec["externalName"], service.port)
    if kind not in _ROUTED:
        raise ValueError(f'unsupported service type "{kind}"')
    port = next((one for one in spec.get("ports") or () if one["port"] == service.port), None)
    if port is None:
        raise service_unavailable(f'no service port {service.port} found for service "{service.name}"')
    candidates = list(_ready(reader, service, port.get("name") or ""))
    if not candidates:
        raise service_unavailable(f'no endpoints available for service "{service.name}"')
    return choose(candidates)


def _ready(reader: Reader, service: ServicePort, port_name: str) -> Iterator[HostPort]:
    for slice_ in reader.list("endpointslices", "discovery.k8s.io", service.namespace):
        if (slice_["metadata"].get("labels") or {}).get(_SERVICE_LABEL) != service.name:
            continue
        ports = [one["port"] for one in slice_.get("ports") or () if (one.get("name") or "") == port_name]
        for endpoint in slice_.get("endpoints") or () if ports else ():
            if (endpoint.get("conditions") or {}).get("ready", True):
                yield HostPort(endpoint["addresses"][0], ports[0])
