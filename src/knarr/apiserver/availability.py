"""Whether an APIService can be reached: the decision behind its condition `Available`. Pure.

Input: the APIService, its Service, the EndpointSlices of that. Output: status, reason and message.
Source: k8s.io/kube-aggregator/pkg/controllers/status.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from knarr.apimachinery.types import Object

_HTTPS = 443


class Verdict(NamedTuple):
    """What the condition says."""

    status: str
    reason: str
    message: str


#: The other server has answered.
PASSED = Verdict("True", "Passed", "all checks passed")


def failed(why: str) -> Verdict:
    """The other server does not answer."""
    return Verdict("False", "FailedDiscoveryCheck", why)


def judge(api_service: Object, service: Object | None, slices: Iterable[Object]) -> Verdict | None:
    """The verdict as far as the cluster's objects tell it; None where the other server has to be asked."""
    reference = api_service["spec"].get("service")
    if reference is None:
        return Verdict("True", "Local", "Local APIServices are always available")
    namespace, name = reference.get("namespace", ""), reference.get("name", "")
    shown = f'service/{name} in "{namespace}"'
    if service is None:
        return Verdict("False", "ServiceNotFound", f"{shown} is not present")
    wanted = reference.get("port") or _HTTPS
    spec = service["spec"]
    if spec.get("type") != "ExternalName":
        ports = [port for port in spec.get("ports") or () if port.get("port") == wanted]
        if not ports:
            return Verdict("False", "ServicePortError", f"{shown} is not listening on port {wanted}")
        found = list(slices)
        if not found:
            return Verdict("False", "EndpointsNotFound", f"cannot find endpointslices for {shown}")
        port_name = ports[0].get("name") or ""
        if not any(_has_active(each, port_name) for each in found):
            text = f'endpointslices for {shown} have no addresses with port name "{port_name}"'
            return Verdict("False", "MissingEndpoints", text)
    return None


def _has_active(endpoint_slice: Object, port_name: str) -> bool:
    """Whether a slice has an endpoint that is ready at a port of this name."""
    ports = endpoint_slice.get("ports") or ()
    if not any((port.get("name") or "") == port_name and port.get("port") for port in ports):
        return False
    endpoints = endpoint_slice.get("endpoints") or ()
    return any((each.get("conditions") or {}).get("ready") is not False for each in endpoints)
