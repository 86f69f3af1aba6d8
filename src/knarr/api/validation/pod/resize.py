"""Changing a running pod's cpu and memory.

Source of the rules: KEP-1287, ValidatePodResize.
"""

from __future__ import annotations

import copy
from typing import Any

from knarr.api.validation.checks import Errors, items
from knarr.api.validation.pod import spec as pod_spec
from knarr.apimachinery import field, quantity
from knarr.apimachinery.types import Object

_MUTABLE = ("cpu", "memory")
_ONLY = "only cpu and memory resources are mutable"


def check(errors: Errors, pod: Object, old: Object) -> None:
    """The pod's new spec, its QoS class, and that nothing but cpu and memory changes."""
    spec, before = pod.get("spec") or {}, old.get("spec") or {}
    pod_spec.check_pod(errors, pod)
    if "kubernetes.io/config.mirror" in ((old.get("metadata") or {}).get("annotations") or {}):
        errors.append(field.forbidden("", "static pods cannot be resized"))
    if (before.get("os") or {}).get("name") == "windows":
        errors.append(field.forbidden("", "windows pods cannot be resized"))
    had = qos_class(old)
    if qos_class(pod) != had:
        wrong = "Pod QOS Class may not change as a result of resizing"
        errors.append(field.invalid("spec", had, wrong))
    for kind in ("containers", "initContainers"):
        _check_containers(errors, items(spec, kind), items(before, kind), f"spec.{kind}")
    if _without_resources(spec) != _without_resources(before):
        errors.append(field.forbidden("spec", _ONLY))


def qos_class(pod: Object) -> str:
    """The pod's class as its spec makes it: `Guaranteed`, `Burstable` or `BestEffort`."""
    spec = pod.get("spec") or {}
    own = spec.get("resources") or {}
    holders = [{"resources": own}] if own.get("requests") or own.get("limits") else _all(spec)
    guaranteed, asked = True, False
    for holder in holders:
        resources = holder.get("resources") or {}
        requests, limits = (_positive(resources.get(name)) for name in ("requests", "limits"))
        asked = asked or bool(requests or limits)
        if set(limits) != set(_MUTABLE) or any(requests.get(name) != limits[name] for name in limits):
            guaranteed = False
    if not asked:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _all(spec: Object) -> list[Object]:
    return [*items(spec, "containers"), *items(spec, "initContainers")]


def _positive(amounts: Any) -> dict[str, quantity.Quantity]:
    parsed = {name: quantity.parse(text) for name, text in (amounts or {}).items() if name in _MUTABLE}
    return {name: value for name, value in parsed.items() if value.sign > 0}


def _check_containers(errors: Errors, new: Any, old: Any, path: str) -> None:
    if len(new) != len(old):
        errors.append(field.forbidden(path, "containers may not be added or removed on resize"))
        return
    for at, (container, before) in enumerate(zip(new, old, strict=True)):
        for group in ("requests", "limits"):
            now = (container.get("resources") or {}).get(group) or {}
            had = (before.get("resources") or {}).get(group) or {}
            here = f"{path}[{at}].resources.{group}"
            for name in _MUTABLE:
                if name in had and name not in now:
                    errors.append(field.forbidden(here, f"resource {group} cannot be removed"))
        plain = "restartPolicy" not in container and path.endswith("initContainers")
        if plain and container.get("resources") != before.get("resources"):
            wrong = "resources of non-sidecar init containers are immutable"
            errors.append(field.forbidden(f"{path}[{at}]", wrong))


def _without_resources(spec: Object) -> Object:
    out = copy.deepcopy(spec)
    for kind in ("containers", "initContainers"):
        for container in out.get(kind) or ():
            resources = container.get("resources") or {}
            for group in ("requests", "limits"):
                kept = {name: value for name, value in (resources.get(group) or {}).items() if name not in _MUTABLE}
                if kept:
                    resources[group] = kept
                else:
                    resources.pop(group, None)
            container.pop("resizePolicy", None)
    return out
