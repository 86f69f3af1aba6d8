"""Probes and lifecycle hooks."""

from __future__ import annotations

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, items, not_negative, one_of, port, port_or_name, texts
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_SCHEMES = ("HTTP", "HTTPS")


def check_probes(errors: Errors, container: Object, path: str, grace: int) -> None:
    """A container's three probes."""
    for name in PROBES:
        probe = container.get(name)
        if probe is not None:
            check_probe(errors, probe, name, f"{path}.{name}", grace)


def check_probe(errors: Errors, probe: Object, name: str, path: str, grace: int) -> None:
    """One probe; liveness and startup probes know one success alone."""
    _check_handler(errors, probe, path, grace)
    for count in _COUNTS:
        if probe.get(count, 0) < 0:
            not_negative(errors, f"{path}.{count}", probe[count])
    own = probe.get("terminationGracePeriodSeconds")
    if own is not None:
        if own <= 0:
            errors.append(field.invalid(f"{path}.terminationGracePeriodSeconds", own, "must be greater than 0"))
        if name == "readinessProbe":
            wrong = "must not be set for readinessProbes"
            errors.append(field.invalid(f"{path}.terminationGracePeriodSeconds", own, wrong))
    success = probe.get("successThreshold", 0)
    if name != "readinessProbe" and success != 1:
        errors.append(field.invalid(f"{path}.successThreshold", success, "must be 1"))


def check_lifecycle(errors: Errors, lifecycle: Object, path: str, grace: int) -> None:
    """A container's hooks."""
    for name in ("postStart", "preStop"):
        if name in lifecycle:
            _check_handler(errors, lifecycle[name], f"{path}.{name}", grace)


def _check_handler(errors: Errors, handler: Object, path: str, grace: int) -> None:
    found = 0
    for name in _HANDLERS:
        action = handler.get(name)
        if action is None:
            continue
        if found:
            errors.append(field.forbidden(f"{path}.{name}", "may not specify more than 1 handler type"))
            continue
        found += 1
        _check_action(errors, name, action, f"{path}.{name}", grace)
    if not found:
        errors.append(field.required(path, "must specify a handler type"))


def _check_action(errors: Errors, name: str, action: Object, path: str, grace: int) -> None:
    if name == "exec":
        if not action.get("command"):
            errors.append(field.required(f"{path}.command"))
    elif name == "httpGet":
        _check_http(errors, action, path)
    elif name == "tcpSocket":
        port_or_name(errors, f"{path}.port", action.get("port", 0))
    elif name == "grpc":
        port(errors, f"{path}.port", action.get("port", 0))
    elif not 0 <= action.get("seconds", 0) <= grace:
        wrong = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
        errors.append(field.invalid(path, action.get("seconds", 0), wrong))


def _check_http(errors: Errors, action: Object, path: str) -> None:
    if not action.get("path"):
        errors.append(field.required(f"{path}.path"))
    port_or_name(errors, f"{path}.port", action.get("port", 0))
    one_of(errors, f"{path}.scheme", action.get("scheme", ""), _SCHEMES)
    for header in items(action, "httpHeaders"):
        name = header.get("name", "")
        texts(errors, f"{path}.httpHeaders", name, names.http_header(name))
