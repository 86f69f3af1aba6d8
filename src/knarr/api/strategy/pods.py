"""Pods: phase and quality of service, what is derived from labels and old annotations, and partial updates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.api.semantics.qos import qos_class
from knarr.api.strategy import rules
from knarr.api.strategy.members import keep
from knarr.apimachinery.types import Object

_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def create(obj: Object) -> None:
    """A new pod is pending; a gated one says so."""
    spec = obj["spec"]
    obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
    if spec.get("schedulingGates"):
        obj["status"]["conditions"] = [_gated(obj["metadata"].get("creationTimestamp"))]
    labels = obj["metadata"].get("labels") or {}
    for selective in _selective(spec):
        _select_by_labels(selective, labels)
    _keep_service_account_names(spec)
    _apply_apparmor_annotations(obj)


def _gated(since: str | None) -> Object:
    return {
        "type": "PodScheduled",
        "status": "False",
        "lastProbeTime": None,
        "lastTransitionTime": since,
        "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
    }


def _keep_service_account_names(spec: Object) -> None:
    """Admission sets the new name only; the old one follows it."""
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]


def _selective(spec: Object) -> Iterator[Object]:
    """Whatever has a label selector that may be narrowed to the pod's own labels."""
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind) or {}
        for weighted in terms.get("preferredDuringSchedulingIgnoredDuringExecution", ()):
            yield weighted["podAffinityTerm"]
        yield from terms.get("requiredDuringSchedulingIgnoredDuringExecution", ())
    yield from spec.get("topologySpreadConstraints", ())


def _select_by_labels(selective: Object, labels: dict[str, str]) -> None:
    selector = selective.get("labelSelector")
    if selector is None:
        return
    for member, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        for key in selective.get(member, ()):
            if key in labels:
                requirement = {"key": key, "operator": operator, "values": [labels[key]]}
                selector.setdefault("matchExpressions", []).append(requirement)


def _apply_apparmor_annotations(obj: Object) -> None:
    """A profile in the old annotation goes into the field, unless the pod's own profile says the same."""
    spec = obj["spec"]
    if (spec.get("os") or {}).get("name") == "windows":
        return
    annotations = obj["metadata"].get("annotations") or {}
    pod_profile = (spec.get("securityContext") or {}).get("appArmorProfile")
    for container in (item for kind in _CONTAINERS for item in spec.get(kind) or ()):
        profile = _profile(annotations.get(_APPARMOR + container["name"]))
        context = container.get("securityContext") or {}
        if profile is not None and "appArmorProfile" not in context and profile != pod_profile:
            container["securityContext"] = {**context, "appArmorProfile": profile}


def _profile(annotation: str | None) -> Object | None:
    """The field's form of an annotation, `None` for one that means nothing."""
    if annotation == "unconfined":
        return {"type": "Unconfined"}
    if annotation == "runtime/default":
        return {"type": "RuntimeDefault"}
    if annotation and annotation.startswith("localhost/") and annotation != "localhost/":
        return {"type": "Localhost", "localhostProfile": annotation.removeprefix("localhost/")}
    return None


def update_status(obj: Object, old: Object, _now: str) -> None:
    """The quality of service and observed generations stay where an old kubelet leaves them out."""
    status, before = obj["status"], old["status"]
    for name in ("qosClass", "observedGeneration"):
        if not status.get(name):
            keep(status, before, name)
    seen: dict[str, list[Any]] = {}
    for condition in before.get("conditions", ()):
        seen.setdefault(condition["type"], []).append(condition.get("observedGeneration"))
    for condition in status.get("conditions", ()):
        generations = seen.get(condition["type"])
        generation = generations.pop(0) if generations else None
        if generation and not condition.get("observedGeneration"):
            condition["observedGeneration"] = generation


def update_ephemeral_containers(obj: Object, old: Object, _now: str) -> None:
    """Nothing but the ephemeral containers changes."""
    spec = dict(old["spec"])
    keep(spec, obj["spec"], "ephemeralContainers")
    _only(obj, old, spec)


def resize(obj: Object, old: Object, _now: str) -> None:
    """Nothing but resources and resize policies changes; other containers are left for validation to refuse."""
    new, before = obj["spec"], old["spec"]
    kinds = ("containers", "initContainers")
    if any(len(new.get(kind) or ()) != len(before.get(kind) or ()) for kind in kinds):
        return
    spec = dict(before)
    keep(spec, new, "resources")
    for kind in kinds:
        if new.get(kind):
            spec[kind] = _resized(new[kind], before[kind])
    _only(obj, old, spec)


def _resized(new: list[Object], before: list[Object]) -> list[Object]:
    if any(item["name"] != old["name"] for item, old in zip(new, before, strict=True)):
        return new
    out = []
    for item, old in zip(new, before, strict=True):
        merged = dict(old)
        keep(merged, item, "resources", "resizePolicy")
        out.append(merged)
    return out


def _only(obj: Object, old: Object, spec: Object) -> None:
    """The old object with another spec, and its metadata as after a change of status."""
    obj["spec"], obj["status"] = spec, old["status"]
    keep(obj["metadata"], old["metadata"], *rules.RESET_METADATA)
