"""ResourceQuotas and LimitRanges."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from knarr.api.validation import quantities
from knarr.api.validation.checks import Errors, items, label_key
from knarr.api.validation.kind import META_AS_CREATED, Kind
from knarr.apimachinery import field
from knarr.apimachinery.quantity import Quantity
from knarr.apimachinery.types import Object

_SCOPES = (
    "BestEffort",
    "NotBestEffort",
    "Terminating",
    "NotTerminating",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
)
_PAIRS = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_COMPUTE = frozenset({"pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})


def _quota(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    check_quota_amounts(errors, spec.get("hard"), "spec.hard")
    _check_scopes(errors, spec)
    _check_scope_selector(errors, spec)


def check_quota_amounts(errors: Errors, amounts: Mapping[str, str] | None, path: str) -> None:
    """Quantities that a quota limits."""
    for name, text in (amounts or {}).items():
        here = f"{path}[{name}]"
        for wrong in quantities.quota_name_errors(name):
            errors.append(field.invalid(here, name, wrong))
        quantities.check_value(errors, here, name, quantities.parse(text))


def _check_scopes(errors: Errors, spec: Object) -> None:
    scopes = items(spec, "scopes")
    if not scopes:
        return
    for scope in scopes:
        if scope not in _SCOPES:
            errors.append(field.invalid("spec.scopes", list(scopes), "unsupported scope"))
        for name in spec.get("hard") or {}:
            if scope in _SCOPES and not _scope_fits(scope, name):
                errors.append(field.invalid("spec.scopes", list(scopes), "unsupported scope applied to resource"))
    for pair in _PAIRS:
        if pair <= set(scopes):
            errors.append(field.invalid("spec.scopes", list(scopes), "conflicting scopes"))


def _scope_fits(scope: str, name: str) -> bool:
    if scope == "BestEffort":
        return name == "pods"
    if scope == "VolumeAttributesClass":
        return "storage" in name or name == "persistentvolumeclaims"
    return name in _COMPUTE or not quantities.is_native(name) or name.startswith("requests.")


def _check_scope_selector(errors: Errors, spec: Object) -> None:
    selector = spec.get("scopeSelector")
    if selector is None:
        return
    path = "spec.scopeSelector.matchExpressions"
    seen: set[str] = set()
    for expression in items(selector, "matchExpressions"):
        scope, operator = expression.get("scopeName", ""), expression.get("operator", "")
        values = items(expression, "values")
        if scope not in _SCOPES:
            errors.append(field.invalid(f"{path}.scopeName", scope, "unsupported scope"))
        for name in spec.get("hard") or {}:
            if scope in _SCOPES and not _scope_fits(scope, name):
                errors.append(field.invalid(path, dict(selector), "unsupported scope applied to resource"))
        _check_scope_operator(errors, scope, operator, values, path)
        seen.add(scope)
    for pair in _PAIRS:
        if pair <= seen:
            errors.append(field.invalid(path, dict(selector), "conflicting scopes"))


def _check_scope_operator(errors: Errors, scope: str, operator: str, values: object, path: str) -> None:
    given = list(values) if isinstance(values, list | tuple) else []
    if scope in _EXISTENCE_SCOPES and operator != "Exists":
        errors.append(field.invalid(f"{path}.operator", operator, _EXISTENCE_WRONG))
    if operator in ("In", "NotIn"):
        if not given:
            wrong = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            errors.append(field.required(f"{path}.values", wrong))
    elif operator in ("Exists", "DoesNotExist"):
        if given:
            wrong = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            errors.append(field.invalid(f"{path}.values", given, wrong))
    else:
        errors.append(field.invalid(f"{path}.operator", operator, "not a valid selector operator"))


_EXISTENCE_SCOPES = (*_SCOPES[:4], "CrossNamespacePodAffinity")
_EXISTENCE_WRONG = (
    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating,"
    " ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def _update_quota(errors: Errors, obj: Object, old: Object) -> None:
    _quota(errors, obj)
    new, before = (sorted(items(o.get("spec") or {}, "scopes")) for o in (obj, old))
    if new != before:
        shown = list(items(obj.get("spec") or {}, "scopes"))
        errors.append(field.invalid("spec.scopes", shown, "field is immutable"))


def _quota_status(errors: Errors, obj: Object, old: Object) -> None:
    status = obj.get("status") or {}
    if not (obj.get("metadata") or {}).get("resourceVersion"):
        errors.append(field.required("metadata.resourceVersion"))
    for name in ("hard", "used"):
        check_quota_amounts(errors, status.get(name), f"status.{name}")


_LIMIT_TYPES = frozenset({"Pod", "Container", "PersistentVolumeClaim"})
_BOUNDS = ("min", "max", "default", "defaultRequest", "maxLimitRequestRatio")


def _limit_range(errors: Errors, obj: Object) -> None:
    seen: set[str] = set()
    for at, limit in enumerate(items(obj.get("spec") or {}, "limits")):
        path, kind = f"spec.limits[{at}]", limit.get("type", "")
        _check_limit_type(errors, kind, f"{path}.type")
        if kind in seen:
            errors.append(field.duplicate(f"{path}.type", kind))
        seen.add(kind)
        _check_limit(errors, limit, kind, path)


def _check_limit_type(errors: Errors, kind: str, path: str) -> None:
    before = len(errors)
    label_key(errors, path, kind)
    if len(errors) == before and "/" not in kind and kind not in _LIMIT_TYPES:
        errors.append(field.invalid(path, kind, "must be a standard limit type or fully qualified"))


def _check_limit(errors: Errors, limit: Object, kind: str, path: str) -> None:
    given = {name: limit.get(name) or {} for name in _BOUNDS}
    check_name = quantities.container_name_errors if kind in ("Container", "Pod") else quantities.name_errors
    for bound in ("max", "min"):
        _check_names(errors, given[bound], f"{path}.{bound}", check_name)
    if kind == "Pod":
        for bound in ("default", "defaultRequest"):
            if given[bound]:
                errors.append(field.forbidden(f"{path}.{bound}", "may not be specified when `type` is 'Pod'"))
    else:
        for bound in ("default", "defaultRequest"):
            _check_names(errors, given[bound], f"{path}.{bound}", check_name)
    _check_names(errors, given["maxLimitRequestRatio"], f"{path}.maxLimitRequestRatio", check_name)
    if kind == "PersistentVolumeClaim" and "storage" not in given["min"] and "storage" not in given["max"]:
        wrong = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(field.required(f"{path}.limits", wrong))
    for name in sorted({name for bound in given.values() for name in bound}):
        found = {bound: quantities.parse(given[bound][name]) for bound in _BOUNDS if name in given[bound]}
        _check_order(errors, name, found, path)
        limit_value, request = found.get("default"), found.get("defaultRequest")
        if limit_value is None or request is None or _overcommitted(name) or limit_value == request:
            continue
        wrong = f"default value {limit_value} must equal to defaultRequest value {request} in {name}"
        errors.append(field.invalid(f"{path}.defaultRequest[{name}]", str(request), wrong))


def _overcommitted(name: str) -> bool:
    return quantities.is_native(name) and not quantities.is_huge_page(name)


def _check_names(
    errors: Errors, amounts: Mapping[str, str], path: str, check: Callable[[str], tuple[str, ...]]
) -> None:
    for name in amounts:
        for wrong in check(name):
            errors.append(field.invalid(f"{path}[{name}]", name, wrong))


def _check_order(errors: Errors, name: str, found: Mapping[str, Quantity], path: str) -> None:
    low, high, limit, request = (found.get(bound) for bound in ("min", "max", "default", "defaultRequest"))

    def wrong(bound: str, value: Quantity, text: str) -> None:
        errors.append(field.invalid(f"{path}.{bound}[{name}]", str(value), text))

    if low is not None and high is not None and low > high:
        wrong("min", low, f"min value {low} is greater than max value {high}")
    if request is not None and low is not None and low > request:
        wrong("defaultRequest", request, f"min value {low} is greater than default request value {request}")
    if request is not None and high is not None and request > high:
        wrong("defaultRequest", request, f"default request value {request} is greater than max value {high}")
    if request is not None and limit is not None and request > limit:
        wrong("defaultRequest", request, f"default request value {request} is greater than default limit value {limit}")
    if limit is not None and low is not None and low > limit:
        wrong("default", low, f"min value {low} is greater than default value {limit}")
    if limit is not None and high is not None and limit > high:
        wrong("default", high, f"default value {limit} is greater than max value {high}")
    ratio = found.get("maxLimitRequestRatio")
    if ratio is not None:
        _check_ratio(errors, ratio, low, high, f"{path}.maxLimitRequestRatio[{name}]")


def _check_ratio(errors: Errors, ratio: Quantity, low: Quantity | None, high: Quantity | None, path: str) -> None:
    if ratio < Quantity(1):
        errors.append(field.invalid(path, str(ratio), f"ratio {ratio} is less than 1"))
    if low is None or high is None or not low:
        return
    most = float(high) / float(low)
    if float(ratio) > most:
        errors.append(field.invalid(path, str(ratio), f"ratio {ratio} is greater than max/min = {most:f}"))


RESOURCEQUOTAS = Kind(_quota, _update_quota, {"status": _quota_status})
LIMITRANGES = Kind(_limit_range, update_meta=META_AS_CREATED)
