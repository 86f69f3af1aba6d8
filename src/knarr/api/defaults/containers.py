"""Defaults of containers: of pods as of pod templates."""

from __future__ import annotations

from typing import Any

from knarr.api.defaults import resource_lists
from knarr.api.defaults.images import pull_policy
from knarr.apimachinery.types import Object

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS = ("postStart", "preStop")


def container(obj: Object) -> None:
    """One container of whatever kind."""
    obj.setdefault("imagePullPolicy", pull_policy(obj.get("image", "")))
    obj.setdefault("terminationMessagePath", "/dev/termination-log")
    obj.setdefault("terminationMessagePolicy", "File")
    for port in obj.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for variable in obj.get("env", ()):
        if "valueFrom" in variable:
            _source(variable["valueFrom"])
    resource_lists.requirements(obj.get("resources"))
    for name in _PROBES:
        if name in obj:
            _probe(obj[name])
    for name in _HOOKS if "lifecycle" in obj else ():
        _http(obj["lifecycle"].get(name))


def _source(source: Object) -> None:
    if "fieldRef" in source:
        field_selector(source["fieldRef"])
    if "fileKeyRef" in source:
        source["fileKeyRef"].setdefault("optional", False)


def field_selector(selector: Object) -> None:
    """A reference to a field of the pod itself."""
    selector.setdefault("apiVersion", "v1")


def _probe(probe: Object) -> None:
    defaults: dict[str, Any] = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    for name, value in defaults.items():
        probe.setdefault(name, value)
    _http(probe)
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _http(handler: Object | None) -> None:
    if handler and "httpGet" in handler:
        handler["httpGet"].setdefault("path", "/")
        handler["httpGet"].setdefault("scheme", "HTTP")
