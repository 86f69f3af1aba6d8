"""Dynamic resources: classes, claims and their templates, apart from compiling their expressions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson

from knarr.api.validation import expressions, meta, names, quantities
from knarr.api.validation.checks import (
    Errors,
    immutable,
    items,
    labels,
    one_of,
    positive,
    required_name,
    required_one_of,
    required_text,
    texts,
)
from knarr.api.validation.device_names import (
    check_conditions_names,
    check_driver,
    check_effect,
    check_full,
    check_label,
    check_pool,
    check_request_reference,
    check_set,
    check_slice,
    check_uid,
)
from knarr.api.validation.device_status import check_device_status, device_id
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import Kind
from knarr.api.validation.selectors import check_node_selector
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_MAX_REQUESTS, _MAX_SELECTORS, _MAX_EXPRESSION, _MAX_SUBREQUESTS = 32, 32, 10 * 1024, 8
_MODES = ("All", "ExactCount")
_ONE_KIND = "exactly one of `exactly` or `firstAvailable` is required"
_ONE_ATTRIBUTE = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
_LATE = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"


def _class(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    _check_selectors(errors, items(spec, "selectors"), "spec.selectors")
    check_slice(errors, items(spec, "config"), _MAX_REQUESTS, _check_config, "spec.config")
    extended = spec.get("extendedResourceName")
    if extended is not None and not quantities.is_extended(extended):
        errors.append(field.invalid("spec.extendedResourceName", extended, "must be a valid extended resource name"))


def _check_selectors(errors: Errors, selectors: Sequence[Object], path: str) -> None:
    check_slice(errors, selectors, _MAX_SELECTORS, _check_selector, path)


def _check_selector(errors: Errors, selector: Object, path: str) -> None:
    cel = selector.get("cel")
    if cel is None:
        errors.append(field.required(f"{path}.cel"))
    elif len(cel.get("expression", "").encode()) > _MAX_EXPRESSION:
        errors.append(field.too_long(f"{path}.cel.expression", _MAX_EXPRESSION))
    else:
        expressions.check_selector(errors, f"{path}.cel.expression", cel.get("expression", ""))


def _check_config(errors: Errors, config: Object, path: str) -> None:
    opaque = config.get("opaque")
    if opaque is None:
        errors.append(field.required(f"{path}.opaque"))
        return
    check_driver(errors, opaque.get("driver", ""), f"{path}.opaque.driver")
    _check_raw(errors, opaque.get("parameters"), f"{path}.opaque.parameters")


def _check_raw(errors: Errors, given: Any, path: str) -> None:
    """Any JSON object of bearable length."""
    if given is None:
        errors.append(field.required(path))
    elif len(orjson.dumps(given)) > _MAX_EXPRESSION:
        errors.append(field.too_long(path, _MAX_EXPRESSION))
    elif not isinstance(given, dict):
        errors.append(field.invalid(path, "<value omitted>", "must be a valid JSON object"))


def _claim(errors: Errors, obj: Object) -> None:
    check_claim_spec(errors, obj.get("spec") or {}, "spec")


def check_claim_spec(errors: Errors, spec: Object, path: str) -> None:
    """What a claim asks for."""
    devices, here = spec.get("devices") or {}, f"{path}.devices"
    known = _request_names(devices)
    requests, constraints = items(devices, "requests"), items(devices, "constraints")
    check_set(errors, requests, _MAX_REQUESTS, _check_request, f"{here}.requests", _name)
    check_constraint = partial(_check_constraint, known=known)
    check_slice(errors, constraints, _MAX_REQUESTS, check_constraint, f"{here}.constraints")
    check_config = partial(_check_claim_config, known=known)
    check_slice(errors, items(devices, "config"), _MAX_REQUESTS, check_config, f"{here}.config")


def _name(item: Object) -> str:
    return str(item.get("name", ""))


def _request_names(devices: Object) -> set[str]:
    """What refers to a request, or to one of its parts."""
    requests = items(devices, "requests")
    parts = ((_name(request), _name(part)) for request in requests for part in items(request, "firstAvailable"))
    return {_name(request) for request in requests} | {f"{request}/{part}" for request, part in parts}


def _check_request(errors: Errors, request: Object, path: str) -> None:
    check_label(errors, _name(request), f"{path}.name")
    exactly, first = request.get("exactly"), items(request, "firstAvailable")
    if exactly is not None and first:
        wrong = f"{_ONE_KIND}, but multiple fields are set"
        errors.append(field.invalid(path, None, wrong))
    elif exactly is not None:
        _check_exact(errors, exactly, f"{path}.exactly")
    elif first:
        check_set(errors, first, _MAX_SUBREQUESTS, _check_part, f"{path}.firstAvailable", _name)
    else:
        errors.append(field.required(path, _ONE_KIND))


def _check_part(errors: Errors, part: Object, path: str) -> None:
    check_label(errors, _name(part), f"{path}.name")
    _check_exact(errors, part, path)


def _check_exact(errors: Errors, request: Object, path: str) -> None:
    required_name(errors, f"{path}.deviceClassName", request.get("deviceClassName", ""), names.dns_subdomain)
    _check_selectors(errors, items(request, "selectors"), f"{path}.selectors")
    mode, count = request.get("allocationMode", ""), request.get("count", 0)
    if mode == "ExactCount":
        positive(errors, f"{path}.count", count)
    elif mode == "All":
        if count:
            wrong = f"must not be specified when allocationMode is '{mode}'"
            errors.append(field.invalid(f"{path}.count", count, wrong))
    else:
        one_of(errors, f"{path}.allocationMode", mode, _MODES)
    for at, toleration in enumerate(items(request, "tolerations")):
        _check_toleration(errors, toleration, f"{path}.tolerations[{at}]")


def _check_toleration(errors: Errors, toleration: Object, path: str) -> None:
    key, operator, value = (toleration.get(name, "") for name in ("key", "operator", "value"))
    if key:
        texts(errors, f"{path}.key", key, names.qualified_name(key))
    if operator == "Exists":
        if value:
            errors.append(field.invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        texts(errors, f"{path}.value", value, names.label_value(value))
    else:
        required_one_of(errors, f"{path}.operator", operator, ("Equal", "Exists"))
    if toleration.get("effect"):
        check_effect(errors, toleration["effect"], f"{path}.effect")


def _check_references(errors: Errors, requests: Sequence[str], path: str, known: set[str]) -> None:
    check_set(errors, requests, _MAX_REQUESTS, partial(check_request_reference, known=known), path)


def _check_constraint(errors: Errors, constraint: Object, path: str, known: set[str]) -> None:
    _check_references(errors, items(constraint, "requests"), f"{path}.requests", known)
    match, distinct = constraint.get("matchAttribute"), constraint.get("distinctAttribute")
    if match is not None:
        check_full(errors, match, f"{path}.matchAttribute")
    elif distinct is not None:
        check_full(errors, distinct, f"{path}.distinctAttribute")
    else:
        errors.append(field.required(path, _ONE_ATTRIBUTE))


def _check_claim_config(errors: Errors, config: Object, path: str, known: set[str]) -> None:
    _check_references(errors, items(config, "requests"), f"{path}.requests", known)
    _check_config(errors, config, path)


def _update_claim(errors: Errors, obj: Object, old: Object) -> None:
    _keep_spec(errors, obj, old, "resource.v1.ResourceClaimSpec")


def _keep_spec(errors: Errors, obj: Object, old: Object, kind: str) -> None:
    immutable(errors, "spec", obj.get("spec"), old.get("spec"), internal(kind, obj.get("spec") or {}))


def _claim_status(errors: Errors, obj: Object, old: Object) -> None:
    status, before = obj.get("status") or {}, old.get("status") or {}
    reserved, allocation = items(status, "reservedFor"), status.get("allocation")
    check_set(errors, reserved, 256, _check_consumer, "status.reservedFor", _uid)
    allocated = {device_id(result) for result in items((allocation or {}).get("devices") or {}, "results")}
    devices = items(status, "devices")
    check_device = partial(check_device_status, allocated=allocated)
    check_set(errors, devices, len(devices), check_device, "status.devices", device_id)
    if reserved and allocation is None:
        errors.append(field.forbidden("status.reservedFor", "may not be specified when `allocated` is not set"))
    elif reserved and (obj.get("metadata") or {}).get("deletionTimestamp"):
        had = items(before, "reservedFor")
        if any(consumer not in had for consumer in reserved):
            errors.append(field.forbidden("status.reservedFor", _LATE))
    _check_allocation(errors, allocation, before.get("allocation"), _request_names((obj["spec"]).get("devices") or {}))


def _uid(consumer: Object) -> str:
    return str(consumer.get("uid", ""))


def _check_consumer(errors: Errors, consumer: Object, path: str) -> None:
    for name in ("resource", "name", "uid"):
        required_text(errors, f"{path}.{name}", consumer.get(name))


def _check_allocation(errors: Errors, allocation: Object | None, had: Object | None, known: set[str]) -> None:
    if allocation is None:
        return
    path = "status.allocation"
    if had is not None:
        immutable(errors, path, allocation, had, internal("resource.v1.AllocationResult", allocation))
        return
    devices = allocation.get("devices") or {}
    check_result = partial(_check_result, known=known)
    check_slice(errors, items(devices, "results"), _MAX_REQUESTS, check_result, f"{path}.devices.results")
    check_config = partial(_check_allocated_config, known=known)
    check_slice(errors, items(devices, "config"), 2 * _MAX_REQUESTS, check_config, f"{path}.devices.config")
    if allocation.get("nodeSelector") is not None:
        check_node_selector(errors, allocation["nodeSelector"], f"{path}.nodeSelector")


def _check_result(errors: Errors, result: Object, path: str, known: set[str]) -> None:
    check_request_reference(errors, result.get("request", ""), f"{path}.request", known)
    check_driver(errors, result.get("driver", ""), f"{path}.driver")
    check_pool(errors, result.get("pool", ""), f"{path}.pool")
    check_label(errors, result.get("device", ""), f"{path}.device")
    binding, failure = items(result, "bindingConditions"), items(result, "bindingFailureConditions")
    check_conditions_names(errors, binding, failure, path)
    for at, toleration in enumerate(items(result, "tolerations")):
        _check_toleration(errors, toleration, f"{path}.tolerations[{at}]")
    if result.get("shareID") is not None:
        check_uid(errors, result["shareID"], f"{path}.shareID")


def _check_allocated_config(errors: Errors, config: Object, path: str, known: set[str]) -> None:
    sources = ("FromClaim", "FromClass")
    required_one_of(errors, f"{path}.source", config.get("source", ""), sources)
    _check_claim_config(errors, config, path, known)


def _template(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    own = spec.get("metadata") or {}
    labels(errors, "spec.metadata.labels", own.get("labels"))
    meta.check_annotations(errors, own.get("annotations"), "spec.metadata.annotations")
    check_claim_spec(errors, spec.get("spec") or {}, "spec.spec")


def _update_template(errors: Errors, obj: Object, old: Object) -> None:
    _keep_spec(errors, obj, old, "resource.v1.ResourceClaimTemplateSpec")


DEVICECLASSES = Kind(_class, name=names.long_name)
RESOURCECLAIMS = Kind(_claim, _update_claim, {"status": _claim_status})
RESOURCECLAIMTEMPLATES = Kind(_template, _update_template)
