"""Dynamic resources: classes, claims and their templates, apart from compiling their expressions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from knarr.api.validation import meta, names, quantities
from knarr.api.validation.checks import Errors, duplicates, immutable, items, labels, one_of, positive, texts
from knarr.api.validation.device_slices import check_qualified
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import Kind
from knarr.api.validation.selectors import check_effect
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_MAX_REQUESTS, _MAX_SELECTORS, _MAX_EXPRESSION, _MAX_SUBREQUESTS = 32, 32, 10 * 1024, 8
_MODES = ("All", "ExactCount")
_ONE_KIND = "exactly one of `exactly` or `firstAvailable` is required"
_ONE_ATTRIBUTE = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
_UNKNOWN = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
_SLASH = re.compile("/")


def _class(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    _check_selectors(errors, items(spec, "selectors"), "spec.selectors")
    for at, config in enumerate(items(spec, "config")):
        _check_opaque(errors, config, f"spec.config[{at}]")


def _check_selectors(errors: Errors, selectors: Sequence[Object], path: str) -> None:
    if len(selectors) > _MAX_SELECTORS:
        errors.append(field.too_many(path, len(selectors), _MAX_SELECTORS))
        return
    for at, selector in enumerate(selectors):
        cel = selector.get("cel")
        if cel is None:
            errors.append(field.required(f"{path}[{at}].cel"))
        elif len(cel.get("expression", "").encode()) > _MAX_EXPRESSION:
            errors.append(field.too_long(f"{path}[{at}].cel.expression", _MAX_EXPRESSION))


def _check_opaque(errors: Errors, config: Object, path: str) -> None:
    opaque = config.get("opaque")
    if opaque is None:
        errors.append(field.required(f"{path}.opaque"))
        return
    check_driver(errors, opaque.get("driver", ""), f"{path}.opaque.driver")
    parameters = opaque.get("parameters")
    if parameters is None:
        errors.append(field.required(f"{path}.opaque.parameters"))
    elif not isinstance(parameters, dict):
        wrong = "parameters must be a valid JSON object"
        errors.append(field.invalid(f"{path}.opaque.parameters", "<value omitted>", wrong))


def check_driver(errors: Errors, name: str, path: str) -> None:
    """The name of a driver of devices."""
    if not name:
        errors.append(field.required(path))
        return
    if len(name) > 63:
        errors.append(field.too_long(path, 63))
    texts(errors, path, name, names.dns_subdomain(name))


def _claim(errors: Errors, obj: Object) -> None:
    check_claim_spec(errors, obj.get("spec") or {}, "spec")


def check_claim_spec(errors: Errors, spec: Object, path: str) -> None:
    """What a claim asks for."""
    devices, here = spec.get("devices") or {}, f"{path}.devices"
    requests = items(devices, "requests")
    known: set[str] = set()
    if len(requests) > _MAX_REQUESTS:
        errors.append(field.too_many(f"{here}.requests", len(requests), _MAX_REQUESTS))
    for at, request in enumerate(requests):
        place, name = f"{here}.requests[{at}]", request.get("name", "")
        _check_request(errors, request, place)
        texts(errors, f"{place}.name", name, names.dns_label(name))
        if name in known:
            errors.append(field.duplicate(f"{place}.name", name))
        known.add(name)
    known |= {
        f"{request.get('name', '')}/{part.get('name', '')}"
        for request in requests
        for part in items(request, "firstAvailable")
    }
    for at, constraint in enumerate(items(devices, "constraints")):
        _check_constraint(errors, constraint, f"{here}.constraints[{at}]", known)
    for at, config in enumerate(items(devices, "config")):
        _check_references(errors, items(config, "requests"), f"{here}.config[{at}].requests", known)
        _check_opaque(errors, config, f"{here}.config[{at}]")


def _check_request(errors: Errors, request: Object, path: str) -> None:
    exactly, first = request.get("exactly"), items(request, "firstAvailable")
    if exactly is not None and first:
        wrong = f"{_ONE_KIND}, but multiple fields are set"
        errors.append(field.invalid(path, field.OMITTED, wrong))
    elif exactly is not None:
        _check_exact(errors, exactly, f"{path}.exactly")
    elif first:
        _check_first(errors, first, f"{path}.firstAvailable")
    else:
        errors.append(field.required(path, _ONE_KIND))


def _check_first(errors: Errors, parts: Sequence[Object], path: str) -> None:
    if len(parts) > _MAX_SUBREQUESTS:
        errors.append(field.too_many(path, len(parts), _MAX_SUBREQUESTS))
    for at, part in enumerate(parts):
        name = part.get("name", "")
        _check_exact(errors, part, f"{path}[{at}]")
        texts(errors, f"{path}[{at}].name", name, names.dns_label(name))
        if any(other.get("name", "") == name for other in parts[:at]):
            errors.append(field.duplicate(f"{path}[{at}]", name))


def _check_exact(errors: Errors, request: Object, path: str) -> None:
    name = request.get("deviceClassName", "")
    if not name:
        errors.append(field.required(f"{path}.deviceClassName"))
    else:
        texts(errors, f"{path}.deviceClassName", name, names.dns_subdomain(name))
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
    for key, text in ((request.get("capacity") or {}).get("requests") or {}).items():
        here = f"{path}.capacity.requests[{key}]"
        check_qualified(errors, key, here)
        quantities.not_negative(errors, here, quantities.parse(text))


def _check_toleration(errors: Errors, toleration: Object, path: str) -> None:
    key, operator, value = (toleration.get(name, "") for name in ("key", "operator", "value"))
    if key:
        texts(errors, f"{path}.key", key, names.qualified_name(key))
    if operator == "Exists":
        if value:
            errors.append(field.invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        texts(errors, f"{path}.value", value, names.label_value(value))
        if not key:
            errors.append(field.required(f"{path}.key", "must be set when operator is `Equal`"))
    elif not operator:
        errors.append(field.required(f"{path}.operator"))
    else:
        errors.append(field.not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    effect = toleration.get("effect", "")
    if effect and effect not in ("NoExecute", "NoSchedule", "None"):
        check_effect(errors, effect, f"{path}.effect", allow_empty=True)


def _check_references(errors: Errors, requests: Sequence[str], path: str, known: set[str]) -> None:
    for at, name in enumerate(requests):
        here = f"{path}[{at}]"
        for part in _SLASH.split(name):
            texts(errors, here, name, names.dns_label(part))
        if name not in known:
            errors.append(field.invalid(here, name, _UNKNOWN))
    duplicates(errors, path, requests)


def _check_constraint(errors: Errors, constraint: Object, path: str, known: set[str]) -> None:
    _check_references(errors, items(constraint, "requests"), f"{path}.requests", known)
    match, distinct = constraint.get("matchAttribute"), constraint.get("distinctAttribute")
    if match is not None:
        check_qualified(errors, match, f"{path}.matchAttribute", full=True)
    elif distinct is not None:
        check_qualified(errors, distinct, f"{path}.distinctAttribute", full=True)
    else:
        errors.append(field.required(path, _ONE_ATTRIBUTE))


def _update_claim(errors: Errors, obj: Object, old: Object) -> None:
    _keep_spec(errors, obj, old, "resource.v1.ResourceClaimSpec")
    if errors == []:
        _claim(errors, obj)


def _keep_spec(errors: Errors, obj: Object, old: Object, kind: str) -> None:
    immutable(errors, "spec", obj.get("spec"), old.get("spec"), internal(kind, obj.get("spec") or {}))


def _claim_status(errors: Errors, obj: Object, old: Object) -> None:
    status, before = obj.get("status") or {}, old.get("status") or {}
    reserved = items(status, "reservedFor")
    if len(reserved) > 256:
        errors.append(field.too_many("status.reservedFor", len(reserved), 256))
    for at, consumer in enumerate(reserved):
        for name in ("resource", "name", "uid"):
            if not consumer.get(name):
                errors.append(field.required(f"status.reservedFor[{at}].{name}"))
    allocation, had = status.get("allocation"), before.get("allocation")
    if reserved and allocation is None:
        errors.append(field.forbidden("status.reservedFor", "may not be specified when `allocated` is not set"))
    if had is not None and allocation is not None and allocation != had:
        shown = internal("resource.v1.AllocationResult", allocation)
        errors.append(field.invalid("status.allocation", shown, "field is immutable"))


def _template(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    own = spec.get("metadata") or {}
    labels(errors, "spec.metadata.labels", own.get("labels"))
    meta.check_annotations(errors, own.get("annotations"), "spec.metadata.annotations")
    check_claim_spec(errors, spec.get("spec") or {}, "spec.spec")


def _update_template(errors: Errors, obj: Object, old: Object) -> None:
    _keep_spec(errors, obj, old, "resource.v1.ResourceClaimTemplateSpec")
    _template(errors, obj)


DEVICECLASSES = Kind(_class, name=names.long_name)
RESOURCECLAIMS = Kind(_claim, _update_claim, {"status": _claim_status})
RESOURCECLAIMTEMPLATES = Kind(_template, _update_template)
