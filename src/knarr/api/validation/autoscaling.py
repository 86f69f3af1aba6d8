"""HorizontalPodAutoscalers, in the form of autoscaling/v2."""

from __future__ import annotations

from collections.abc import Callable

from knarr.api.validation import names, quantities
from knarr.api.validation.checks import Errors, items, not_negative, one_of, positive, required_name, texts
from knarr.api.validation.kind import Kind
from knarr.api.validation.selectors import check_label_selector
from knarr.apimachinery import field
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.types import Object

_TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")
_TARGETS = ("Utilization", "Value", "AverageValue")
_NO_SOURCE = "must populate information for the given metric source"
_BOTH = "must populate the given metric source only"
_MAX_WINDOW, _MAX_PERIOD = 3600, 1800
_TYPE_OF = {name[0].lower() + name[1:]: name for name in _TYPES}


def _create(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    if obj.get("apiVersion") == "autoscaling/v1":
        spec = _from_v1(spec)
    low, high = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if low is not None and low < 1:
        errors.append(field.invalid("spec.minReplicas", low, "must be greater than or equal to 1"))
    if high == 0:
        errors.append(field.required("spec.maxReplicas", "must be set and greater than 0"))
    elif high < 1:
        errors.append(field.invalid("spec.maxReplicas", high, "must be greater than or equal to 1"))
    if low is not None and high < low:
        wrong = "must be greater than or equal to `minReplicas`"
        errors.append(field.invalid("spec.maxReplicas", high, wrong))
    _check_reference(errors, spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for at, metric in enumerate(items(spec, "metrics")):
        _check_metric(errors, metric, f"spec.metrics[{at}]")
    behavior = spec.get("behavior") or {}
    for name in ("scaleUp", "scaleDown"):
        if behavior.get(name) is not None:
            _check_rules(errors, behavior[name], f"spec.behavior.{name}")


def _from_v1(spec: Object) -> Object:
    share = spec.get("targetCPUUtilizationPercentage")
    if share is None:
        return spec
    target = {"type": "Utilization", "averageUtilization": share}
    return {**spec, "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]}


def _check_reference(errors: Errors, ref: Object, path: str) -> None:
    for name in ("kind", "name"):
        required_name(errors, f"{path}.{name}", ref.get(name, ""), names.path_segment)
    version = ref.get("apiVersion", "")
    group, _ = parse_api_version(version)
    if version.count("/") > 1:
        wrong = f"unexpected GroupVersion string: {version}"
        errors.append(field.invalid(f"{path}.apiVersion", version, wrong))
    elif not group and ref.get("kind") != "ReplicationController":
        errors.append(field.invalid(f"{path}.apiVersion", version, "apiVersion must specify API group"))


def _check_metric(errors: Errors, metric: Object, path: str) -> None:
    kind = metric.get("type", "")
    if not kind:
        errors.append(field.required(f"{path}.type", "must specify a metric source type"))
    elif kind not in _TYPES:
        # Kubernetes says so twice.
        errors += [field.not_supported(f"{path}.type", kind, _TYPES)] * 2
    given = [name for name in _SOURCES if metric.get(name) is not None]
    for name in given:
        if _TYPE_OF[name] == kind or len(given) == 1:
            _SOURCES[name](errors, metric[name], f"{path}.{name}")
    expected = kind[:1].lower() + kind[1:]
    if kind in _TYPES and expected not in given:
        errors.append(field.required(f"{path}.{expected}", _NO_SOURCE))
    for name in given:
        if len(given) > 1 and name != expected:
            errors.append(field.forbidden(f"{path}.{name}", _BOTH))


def _object(errors: Errors, source: Object, path: str) -> None:
    described = source.get("describedObject") or {}
    for name in ("kind", "name"):
        required_name(errors, f"{path}.describedObject.{name}", described.get(name, ""), names.path_segment)
    _check_identifier(errors, source.get("metric") or {}, f"{path}.metric")
    target = source.get("target") or {}
    _check_target(errors, target, f"{path}.target")
    if target.get("value") is None and target.get("averageValue") is None:
        wrong = "must set either a target value or averageValue"
        errors.append(field.required(f"{path}.target.averageValue", wrong))


def _external(errors: Errors, source: Object, path: str) -> None:
    _check_identifier(errors, source.get("metric") or {}, f"{path}.metric")
    target = source.get("target") or {}
    _check_target(errors, target, f"{path}.target")
    if target.get("value") is None and target.get("averageValue") is None:
        wrong = "must set either a target value for metric or a per-pod target"
        errors.append(field.required(f"{path}.target.averageValue", wrong))
    if target.get("value") is not None and target.get("averageValue") is not None:
        wrong = "may not set both a target value for metric and a per-pod target"
        errors.append(field.forbidden(f"{path}.target.value", wrong))


def _pods(errors: Errors, source: Object, path: str) -> None:
    _check_identifier(errors, source.get("metric") or {}, f"{path}.metric")
    target = source.get("target") or {}
    _check_target(errors, target, f"{path}.target")
    average = target.get("averageValue")
    if average is None or quantities.parse(average).sign <= 0:
        errors.append(field.required(f"{path}.target.averageValue", "must specify a positive target averageValue"))


def _resource(errors: Errors, source: Object, path: str) -> None:
    if not source.get("name"):
        errors.append(field.required(f"{path}.name", "must specify a resource name"))
    _check_resource_target(errors, source.get("target") or {}, f"{path}.target")


def _container_resource(errors: Errors, source: Object, path: str) -> None:
    if not source.get("container"):
        errors.append(field.required(f"{path}.container", "must specify a container"))
    name = source.get("name", "")
    if not name:
        errors.append(field.required(f"{path}.name", "must specify a resource name"))
    else:
        texts(errors, f"{path}.name", name, quantities.container_name_errors(name))
        if names.qualified_name(name) and "/" not in name:
            errors.append(field.invalid(f"{path}.name", name, "must be a standard resource for containers"))
    _check_resource_target(errors, source.get("target") or {}, f"{path}.target")


_SOURCES: dict[str, Callable[[Errors, Object, str], None]] = {
    "object": _object,
    "pods": _pods,
    "resource": _resource,
    "external": _external,
    "containerResource": _container_resource,
}


def _check_resource_target(errors: Errors, target: Object, path: str) -> None:
    _check_target(errors, target, path)
    share, value = target.get("averageUtilization"), target.get("averageValue")
    if share is None and value is None:
        wrong = "must set either a target raw value or a target utilization"
        errors.append(field.required(f"{path}.averageUtilization", wrong))
    if share is not None and value is not None:
        wrong = "may not set both a target raw value and a target utilization"
        errors.append(field.forbidden(f"{path}.averageValue", wrong))


def _check_target(errors: Errors, target: Object, path: str) -> None:
    kind = target.get("type", "")
    if not kind:
        errors.append(field.required(f"{path}.type", "must specify a metric target type"))
    if kind not in _TARGETS:
        errors.append(field.invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for name in ("value", "averageValue"):
        if target.get(name) is not None and quantities.parse(target[name]).sign != 1:
            errors.append(field.invalid(f"{path}.{name}", target[name], "must be positive"))
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        errors.append(field.invalid(f"{path}.averageUtilization", share, "must be greater than 0"))


def _check_identifier(errors: Errors, metric: Object, path: str) -> None:
    name = metric.get("name", "")
    if not name:
        errors.append(field.required(f"{path}.name", "must specify a metric name"))
    else:
        texts(errors, f"{path}.name", name, names.path_segment(name))
    check_label_selector(errors, metric.get("selector"), f"{path}.selector")


def _check_rules(errors: Errors, rules: Object, path: str) -> None:
    window = rules.get("stabilizationWindowSeconds")
    here = f"{path}.stabilizationWindowSeconds"
    not_negative(errors, here, window)
    if window is not None and window > _MAX_WINDOW:
        errors.append(field.invalid(here, window, f"must be less than or equal to {_MAX_WINDOW}"))
    if rules.get("tolerance") is not None:
        quantities.not_negative(errors, f"{path}.tolerance", quantities.parse(rules["tolerance"]))
    if rules.get("selectPolicy") is not None:
        one_of(errors, f"{path}.selectPolicy", rules["selectPolicy"], ("Disabled", "Max", "Min"))
    policies = items(rules, "policies")
    if not policies:
        errors.append(field.required(f"{path}.policies", "must specify at least one Policy"))
    for at, policy in enumerate(policies):
        place = f"{path}.policies[{at}]"
        one_of(errors, f"{place}.type", policy.get("type", ""), ("Percent", "Pods"))
        positive(errors, f"{place}.value", policy.get("value", 0))
        period = policy.get("periodSeconds", 0)
        positive(errors, f"{place}.periodSeconds", period)
        if period > _MAX_PERIOD:
            wrong = f"must be less than or equal to {_MAX_PERIOD}"
            errors.append(field.invalid(f"{place}.periodSeconds", period, wrong))


def _status(errors: Errors, obj: Object, old: Object) -> None:
    status = obj.get("status") or {}
    for name in ("currentReplicas", "desiredReplicas"):
        not_negative(errors, f"status.{name}", status.get(name, 0))


HORIZONTALPODAUTOSCALERS = Kind(_create, parts={"status": _status})
