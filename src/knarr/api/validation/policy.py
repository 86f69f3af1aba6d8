"""PodDisruptionBudgets, PriorityClasses and RuntimeClasses."""

from __future__ import annotations

from knarr.api.validation import names, quantities
from knarr.api.validation.checks import (
    Errors,
    at_most_100_percent,
    count_or_percent,
    immutable,
    items,
    labels,
    not_negative,
    one_of,
    required_name,
)
from knarr.api.validation.conditions import check_conditions
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import META_NOT_AGAIN, Kind
from knarr.api.validation.selectors import check_label_selector, check_tolerations
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_HIGHEST = 1_000_000_000
_SYSTEM = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


def _budget(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    low, high = spec.get("minAvailable"), spec.get("maxUnavailable")
    if low is not None and high is not None:
        shown = internal("policy.v1.PodDisruptionBudgetSpec", spec)
        wrong = "minAvailable and maxUnavailable cannot be both set"
        errors.append(field.invalid("spec", shown, wrong))
    for name, value in (("minAvailable", low), ("maxUnavailable", high)):
        if value is not None:
            count_or_percent(errors, f"spec.{name}", value)
            at_most_100_percent(errors, f"spec.{name}", value)
    check_label_selector(errors, spec.get("selector"), "spec.selector")
    if spec.get("unhealthyPodEvictionPolicy") is not None:
        known = ("AlwaysAllow", "IfHealthyBudget")
        one_of(errors, "spec.unhealthyPodEvictionPolicy", spec["unhealthyPodEvictionPolicy"], known)


def _budget_status(errors: Errors, obj: Object, old: Object) -> None:
    status = obj.get("status") or {}
    check_conditions(errors, items(status, "conditions"), "status.conditions")
    for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        not_negative(errors, f"status.{name}", status.get(name, 0))


def _priority(errors: Errors, obj: Object) -> None:
    name, value = (obj.get("metadata") or {}).get("name", ""), obj.get("value", 0)
    if name.startswith("system-"):
        wrong = "priority class names with 'system-' prefix are reserved for system use only. error:"
        if name not in _SYSTEM:
            wrong = f"{wrong} {name} is not a known system priority class"
            errors.append(field.forbidden("metadata.name", wrong))
        elif value != _SYSTEM[name]:
            wrong = f"{wrong} value of {name} PriorityClass must be {_SYSTEM[name]}"
            errors.append(field.forbidden("metadata.name", wrong))
    elif value > _HIGHEST:
        wrong = f"maximum allowed value of a user defined priority is {_HIGHEST}"
        errors.append(field.forbidden("value", wrong))
    policy = obj.get("preemptionPolicy")
    if policy is not None:
        one_of(errors, "preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))


def _update_priority(errors: Errors, obj: Object, old: Object) -> None:
    if obj.get("value", 0) != old.get("value", 0):
        errors.append(field.forbidden("value", "may not be changed in an update."))
    immutable(errors, "preemptionPolicy", obj.get("preemptionPolicy"), old.get("preemptionPolicy"))


def _runtime(errors: Errors, obj: Object) -> None:
    required_name(errors, "handler", obj.get("handler", ""), names.dns_label)
    overhead = obj.get("overhead")
    if overhead is not None:
        quantities.check_list(errors, "overhead.limits", overhead.get("podFixed"))
    scheduling = obj.get("scheduling")
    if scheduling is not None:
        labels(errors, "scheduling.nodeSelector", scheduling.get("nodeSelector"))
        tolerations = items(scheduling, "tolerations")
        check_tolerations(errors, tolerations, "scheduling.tolerations")
        for at, toleration in enumerate(tolerations):
            if toleration in tolerations[:at]:
                errors.append(field.duplicate(f"scheduling.tolerations[{at}]", toleration))


def _update_runtime(errors: Errors, obj: Object, old: Object) -> None:
    immutable(errors, "handler", obj.get("handler"), old.get("handler"))


PODDISRUPTIONBUDGETS = Kind(
    _budget, parts={"status": _budget_status}, name=names.path_segment, update_meta=META_NOT_AGAIN
)
PRIORITYCLASSES = Kind(_priority, _update_priority)
RUNTIMECLASSES = Kind(_runtime, _update_runtime)
