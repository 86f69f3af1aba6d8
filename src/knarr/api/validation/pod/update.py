"""What may change in a pod: few fields of its spec, through itself or its subresources."""

from __future__ import annotations

import copy
from typing import Any

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, items, texts
from knarr.api.validation.pod import spec as pod_spec
from knarr.api.validation.pod import status as pod_status
from knarr.api.validation.pod.containers import check_ephemeral_containers
from knarr.api.validation.pod.context import context_of
from knarr.api.validation.pod.inner import inner_container, inner_spec
from knarr.api.validation.struct_diff import value_diff
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_MAX_DEADLINE = 2147483647
_FIELDS = (
    "pod updates may not change fields other than"
    " `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_RESIZE_FIELDS = "only cpu and memory resources are mutable"


def check_update(errors: Errors, pod: Object, old: Object) -> None:
    """A change of the pod itself."""
    spec, before = pod.get("spec") or {}, old.get("spec") or {}
    pod_spec.check_pod(errors, pod)
    seen = len(errors)
    _check_counts(errors, spec, before)
    if len(errors) > seen:
        return
    _check_deadline(errors, spec, before)
    _check_only_added(errors, items(spec, "tolerations"), items(before, "tolerations"), "spec.tolerations")
    _check_gates(errors, pod, spec, before)
    if items(before, "schedulingGates"):
        _check_gated(errors, spec, before)
    munged = _munged(spec, before)
    if munged != before:
        errors.append(field.forbidden("spec", f"{_FIELDS}\n{value_diff(inner_spec(before), inner_spec(munged))}"))


def _check_counts(errors: Errors, spec: Object, before: Object) -> None:
    for kind in ("containers", "initContainers"):
        if len(items(spec, kind)) != len(items(before, kind)):
            errors.append(field.forbidden(f"spec.{kind}", "pod updates may not add or remove containers"))


def _check_deadline(errors: Errors, spec: Object, before: Object) -> None:
    new, old, path = (
        spec.get("activeDeadlineSeconds"),
        before.get("activeDeadlineSeconds"),
        "spec.activeDeadlineSeconds",
    )
    if new is not None:
        if not 0 <= new <= _MAX_DEADLINE:
            texts(errors, path, new, names.in_range(new, 0, _MAX_DEADLINE))
        elif old is not None and old < new:
            errors.append(field.invalid(path, new, "must be less than or equal to previous value"))
    elif old is not None:
        errors.append(field.invalid(path, None, "must not update from a positive integer to nil value"))


def _check_only_added(errors: Errors, new: Any, old: Any, path: str) -> None:
    if new == old:
        return
    for toleration in old:
        same = {key: value for key, value in toleration.items() if key != "tolerationSeconds"}
        if not any({k: v for k, v in other.items() if k != "tolerationSeconds"} == same for other in new):
            wrong = "existing toleration can not be modified except its tolerationSeconds"
            errors.append(field.forbidden(path, wrong))
            return


def _check_gates(errors: Errors, pod: Object, spec: Object, before: Object) -> None:
    new, old = items(spec, "schedulingGates"), items(before, "schedulingGates")
    had = {gate.get("name", "") for gate in old}
    for at, gate in enumerate(new):
        name = gate.get("name", "")
        if name not in had:
            wrong = f"only deletion is allowed, but found new scheduling gate '{name}'"
            errors.append(field.forbidden(f"spec.schedulingGates[{at}].name", wrong))
    if spec.get("nodeName") and new and not before.get("nodeName"):
        wrong = "cannot be set until all schedulingGates have been cleared"
        errors.append(field.forbidden("spec.nodeName", wrong))


def _check_gated(errors: Errors, spec: Object, before: Object) -> None:
    new, old = spec.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if any(new.get(key) != value for key, value in old.items()):
        wrong = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.append(field.invalid("spec.nodeSelector", new, wrong))
    required = _required(before)
    if not items(required, "nodeSelectorTerms"):
        return
    path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    terms, old_terms = items(_required(spec), "nodeSelectorTerms"), items(required, "nodeSelectorTerms")
    if len(terms) != len(old_terms):
        wrong = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        errors.append(field.invalid(path, list(terms), wrong))
        return
    for at, (term, old_term) in enumerate(zip(terms, old_terms, strict=True)):
        if not _term_grew(term, old_term):
            wrong = "only additions are allowed (no mutations or deletions)"
            errors.append(field.invalid(f"{path}[{at}]", term, wrong))


def _required(spec: Object) -> Object:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    found: Object = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    return found


def _term_grew(term: Object, old: Object) -> bool:
    if not old:
        return term == old
    for kind in ("matchExpressions", "matchFields"):
        before = items(old, kind)
        if list(items(term, kind)[: len(before)]) != list(before):
            return False
    return True


def _munged(spec: Object, before: Object) -> Object:
    """The new spec with what may change put back; what differs then may not."""
    out = {**spec}
    for kind in ("containers", "initContainers"):
        if kind in out:
            pairs = zip(out[kind], before.get(kind) or (), strict=False)
            out[kind] = [_with(new, "image", old) for new, old in pairs]
    for name in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        out = _with(out, name, before)
    if before.get("terminationGracePeriodSeconds", 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        out = _with(out, "terminationGracePeriodSeconds", before)
    if items(before, "schedulingGates"):
        out = _with(out, "nodeSelector", before)
        affinity = copy.deepcopy(out.get("affinity"))
        if affinity and "nodeAffinity" in affinity:
            affinity["nodeAffinity"] = _with(
                affinity["nodeAffinity"],
                "requiredDuringSchedulingIgnoredDuringExecution",
                (before.get("affinity") or {}).get("nodeAffinity") or {},
            )
            out["affinity"] = _without_empty_affinity(affinity, before)
    return out


def _without_empty_affinity(affinity: Object, before: Object) -> Any:
    old = before.get("affinity")
    if not affinity["nodeAffinity"] and "nodeAffinity" not in (old or {}):
        del affinity["nodeAffinity"]
    return affinity if affinity or old is not None else None


def _with(obj: Object, name: str, source: Object) -> Object:
    """The object with `name` as `source` has it."""
    if obj.get(name) == source.get(name):
        return obj
    out = {key: value for key, value in obj.items() if key != name}
    if name in source:
        out[name] = source[name]
    return out


def check_ephemeral_update(errors: Errors, pod: Object, old: Object) -> None:
    """A change through `ephemeralcontainers`: additions alone."""
    spec = pod.get("spec") or {}
    check_ephemeral_containers(errors, spec, "spec.ephemeralContainers", context_of(spec))
    new = {container.get("name", ""): container for container in items(spec, "ephemeralContainers")}
    for container in items(old.get("spec") or {}, "ephemeralContainers"):
        name = container.get("name", "")
        found = new.get(name)
        if found is None:
            wrong = f"existing ephemeral containers {field.quote(name)} may not be removed\n"
            errors.append(field.forbidden("spec.ephemeralContainers", wrong))
        elif found != container:
            shown = value_diff(inner_container(container, ephemeral=True), inner_container(found, ephemeral=True))
            wrong = f"existing ephemeral containers {field.quote(name)} may not be changed\n{shown}"
            errors.append(field.forbidden("spec.ephemeralContainers", wrong))


def check_resize(errors: Errors, pod: Object, old: Object) -> None:
    """A change through `resize`: cpu and memory of containers."""
    from knarr.api.validation.pod import resize

    resize.check(errors, pod, old)


def check_status_update(errors: Errors, pod: Object, old: Object) -> None:
    """A change through `status`."""
    pod_status.check(errors, pod, old)
