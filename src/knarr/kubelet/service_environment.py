"""The environment variables that tell a container of the Services it can reach.

Input: Services, the pod's namespace. Output: variables by name.
https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.apimachinery.types import Object

#: The Service every container is told of, whatever its namespace and `enableServiceLinks`.
_ALWAYS = ("default", "kubernetes")


def service_variables(services: Iterable[Object], namespace: str, *, links: bool) -> dict[str, str]:
    """The variables of a pod in `namespace`; `links` is its `enableServiceLinks`."""
    chosen: dict[str, Object] = {}
    for service in services:
        meta = service["metadata"]
        if (service.get("spec") or {}).get("clusterIP") in (None, "", "None"):
            continue
        if (meta["namespace"], meta["name"]) == _ALWAYS:
            chosen.setdefault(meta["name"], service)
        elif meta["namespace"] == namespace and links:
            chosen[meta["name"]] = service
    variables: dict[str, str] = {}
    for name in sorted(chosen):
        variables |= _of_service(name, chosen[name]["spec"])
    return variables


def _of_service(name: str, spec: Object) -> dict[str, str]:
    prefix = _variable(name)
    address = spec["clusterIP"]
    ports = spec.get("ports") or []
    variables = {f"{prefix}_SERVICE_HOST": address}
    if ports:
        variables[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
    for port in ports:
        if port.get("name"):
            variables[f"{prefix}_SERVICE_PORT_{_variable(port['name'])}"] = str(port["port"])
    for index, port in enumerate(ports):
        variables |= _link(prefix, address, port, first=index == 0)
    return variables


def _link(prefix: str, address: str, port: Object, *, first: bool) -> dict[str, str]:
    """The variables Docker once made for links."""
    protocol = port.get("protocol") or "TCP"
    host = f"[{address}]" if ":" in address else address
    url = f"{protocol.lower()}://{host}:{port['port']}"
    base = f"{prefix}_PORT_{port['port']}_{protocol.upper()}"
    variables = {f"{prefix}_PORT": url} if first else {}
    return variables | {
        base: url,
        f"{base}_PROTO": protocol.lower(),
        f"{base}_PORT": str(port["port"]),
        f"{base}_ADDR": address,
    }


def _variable(name: str) -> str:
    return name.replace("-", "_").upper()
