"""ResourceSlices: the devices that drivers offer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, immutable, items, texts
from knarr.api.validation.device_capacity import check_capacity
from knarr.api.validation.device_names import (
    check_conditions_names,
    check_driver,
    check_effect,
    check_label,
    check_map,
    check_pool,
    check_qualified,
    check_set,
    check_slice,
)
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import Kind
from knarr.api.validation.selectors import check_node_selector
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_ONE_PLACE = f"exactly one of {', '.join(f'`{name}`' for name in _PLACES)} is required"
_DEVICE_PLACE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true"
    " in the ResourceSlice spec"
)
_NO_DEVICE_PLACE = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the"
    " ResourceSlice spec"
)
_ONE_VALUE = "exactly one value must be specified"
_LISTS = ("bools", "ints", "strings", "versions")
_SINGLES = ("bool", "int", "string", "version")
_MAX_TEXT, _MAX_DEVICES, _MAX_SPECIAL_DEVICES, _MAX_ENTRIES = 64, 128, 64, 32
_MAX_COUNTERS, _MAX_SETS, _MAX_CONSUMED, _MAX_TAINTS = 32, 8, 2, 16
_NUMBER, _WORD = r"(0|[1-9]\d*)", r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_WORD}(\.{_WORD})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?")


def _create(errors: Errors, obj: Object) -> None:
    _check_spec(errors, obj.get("spec") or {}, None)


def _update(errors: Errors, obj: Object, old: Object) -> None:
    _check_spec(errors, obj.get("spec") or {}, old.get("spec") or {})


def _check_spec(errors: Errors, spec: Object, before: Object | None) -> None:
    check_driver(errors, spec.get("driver", ""), "spec.driver")
    _check_pool(errors, spec.get("pool") or {}, "spec.pool")
    if before is not None:
        new, had = ((part.get("pool") or {}).get("name") for part in (spec, before))
        immutable(errors, "spec.pool.name", new, had)
        for name in ("driver", "nodeName"):
            immutable(errors, f"spec.{name}", spec.get(name), before.get(name))
    _check_place(errors, spec)
    devices, counters = items(spec, "devices"), items(spec, "sharedCounters")
    if spec.get("devices") is not None and spec.get("sharedCounters") is not None:
        errors.append(field.invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    special = any(device.get("taints") or device.get("consumesCounters") for device in devices)
    had_devices = {device.get("name", ""): device for device in items(before or {}, "devices")}
    check = partial(_check_device, had=had_devices, by_device=bool(spec.get("perDeviceNodeSelection")))
    most = _MAX_SPECIAL_DEVICES if special else _MAX_DEVICES
    check_set(errors, devices, most, check, "spec.devices", _name)
    check_set(errors, counters, _MAX_SETS, _check_counter_set, "spec.sharedCounters", _name)


def _name(item: Object) -> str:
    return str(item.get("name", ""))


def _check_pool(errors: Errors, pool: Object, path: str) -> None:
    check_pool(errors, pool.get("name", ""), f"{path}.name")
    count, generation = pool.get("resourceSliceCount", 0), pool.get("generation", 0)
    if count <= 0:
        errors.append(field.invalid(f"{path}.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        errors.append(field.invalid(f"{path}.generation", generation, "must be greater than or equal to zero"))


def _check_place(errors: Errors, spec: Object) -> None:
    given = _node_name(errors, spec, "spec", "must be either unset or set to a non-empty string")
    selector = spec.get("nodeSelector")
    if selector is not None:
        given.append("nodeSelector")
        check_node_selector(errors, selector, "spec.nodeSelector")
        terms = items(selector, "nodeSelectorTerms")
        if len(terms) != 1:
            shown = internal("core.v1.NodeSelector", selector)["NodeSelectorTerms"]
            wrong = "must have exactly one node selector term"
            errors.append(field.invalid("spec.nodeSelector.nodeSelectorTerms", shown, wrong))
    for name in ("allNodes", "perDeviceNodeSelection"):
        _true_or_unset(errors, spec, "spec", name, given)
    if not given:
        errors.append(field.required("spec", _ONE_PLACE))
    elif len(given) > 1:
        errors.append(field.invalid("spec", _shown(given), f"{_ONE_PLACE}, but multiple fields are set"))


def _node_name(errors: Errors, holder: Object, path: str, empty: str) -> list[str]:
    node = holder.get("nodeName")
    if node:
        texts(errors, f"{path}.nodeName", node, names.dns_subdomain(node))
        return ["nodeName"]
    if node is not None:
        errors.append(field.invalid(f"{path}.nodeName", node, empty))
    return []


def _true_or_unset(errors: Errors, holder: Object, path: str, name: str, given: list[str]) -> None:
    if holder.get(name):
        given.append(name)
    elif holder.get(name) is False:
        errors.append(field.invalid(f"{path}.{name}", False, "must be either unset or set to true"))


def _shown(given: list[str]) -> str:
    return f"{{{', '.join(f'`{name}`' for name in given)}}}"


def _check_device(errors: Errors, device: Object, path: str, *, had: Mapping[str, Object], by_device: bool) -> None:
    old = had.get(device.get("name", ""))
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    check_label(errors, device.get("name", ""), f"{path}.name")
    entries = len(attributes) + len(capacity)
    if entries > _MAX_ENTRIES:
        wrong = f"the total number of attributes and capacities must not exceed {_MAX_ENTRIES}"
        errors.append(field.invalid(path, entries, wrong))
    check_map(errors, attributes, check_qualified, _check_attribute, f"{path}.attributes")
    if old is None or (old.get("capacity") or {}) != capacity:
        check = partial(check_capacity, shared=bool(device.get("allowMultipleAllocations")))
        check_map(errors, capacity, check_qualified, check, f"{path}.capacity")
    if old is None or items(old, "taints") != items(device, "taints"):
        check_slice(errors, items(device, "taints"), _MAX_TAINTS, _check_taint, f"{path}.taints")
    consumed = items(device, "consumesCounters")
    check_set(errors, consumed, _MAX_CONSUMED, _check_consumption, f"{path}.consumesCounters", _counter_set)
    _check_device_place(errors, device, path, by_device=by_device)
    binding, failure = items(device, "bindingConditions"), items(device, "bindingFailureConditions")
    check_conditions_names(errors, binding, failure, path)


def _counter_set(item: Object) -> str:
    return str(item.get("counterSet", ""))


def _check_device_place(errors: Errors, device: Object, path: str, *, by_device: bool) -> None:
    if not by_device:
        if any(device.get(name) is not None for name in ("nodeName", "nodeSelector", "allNodes")):
            errors.append(field.invalid(path, None, _NO_DEVICE_PLACE))
        return
    given = _node_name(errors, device, path, "must not be empty")
    if device.get("nodeSelector") is not None:
        given.append("nodeSelector")
        check_node_selector(errors, device["nodeSelector"], f"{path}.nodeSelector")
    _true_or_unset(errors, device, path, "allNodes", given)
    if not given:
        errors.append(field.required(path, _DEVICE_PLACE))
    elif len(given) > 1:
        errors.append(field.invalid(path, _shown(given), _DEVICE_PLACE))


def _check_attribute(errors: Errors, attribute: Object, path: str) -> None:
    given = sum(attribute.get(name) is not None for name in (*_SINGLES, *_LISTS))
    checks: dict[str, Callable[[Errors, Any, str], None]] = {"string": _check_text, "version": _check_version}
    for name, check in checks.items():
        if attribute.get(name) is not None:
            check(errors, attribute[name], f"{path}.{name}")
    for name in _LISTS:
        values = attribute.get(name)
        if values is not None and not values:
            errors.append(field.invalid(f"{path}.{name}", [], "must not be empty if specified"))
        item_check = checks.get(name[:-1])
        if item_check is not None:
            for at, value in enumerate(values or ()):
                item_check(errors, value, f"{path}.{name}[{at}]")
    if given != 1:
        shown = internal("resource.v1.DeviceAttribute", attribute) if given else ""
        errors.append(field.invalid(path, shown, _ONE_VALUE))


def _check_text(errors: Errors, value: str, path: str) -> None:
    if len(value.encode()) > _MAX_TEXT:
        errors.append(field.too_long(path, _MAX_TEXT))


def _check_version(errors: Errors, value: str, path: str) -> None:
    if not _SEMVER.fullmatch(value):
        errors.append(field.invalid(path, value, "must be a string compatible with semver.org spec 2.0.0"))
    _check_text(errors, value, path)


def _check_taint(errors: Errors, taint: Object, path: str) -> None:
    key, value, effect = (taint.get(name, "") for name in ("key", "value", "effect"))
    texts(errors, f"{path}.key", key, names.qualified_name(key))
    texts(errors, f"{path}.value", value, names.label_value(value))
    if not effect:
        errors.append(field.required(f"{path}.effect"))
    else:
        check_effect(errors, effect, f"{path}.effect")


def _check_counter_set(errors: Errors, given: Object, path: str) -> None:
    _check_counters(errors, given, path, "name")


def _check_consumption(errors: Errors, given: Object, path: str) -> None:
    _check_counters(errors, given, path, "counterSet")


def _check_counters(errors: Errors, given: Object, path: str, name_field: str) -> None:
    name, counters = given.get(name_field, ""), given.get("counters") or {}
    if not name:
        errors.append(field.required(f"{path}.{name_field}"))
    else:
        check_label(errors, name, f"{path}.{name_field}")
    here = f"{path}.counters"
    if not counters:
        errors.append(field.required(here))
    elif len(counters) > _MAX_COUNTERS:
        errors.append(field.too_many(here, len(counters), _MAX_COUNTERS))
    else:
        check_map(errors, counters, check_label, _any_quantity, here)


def _any_quantity(errors: Errors, counter: Object, path: str) -> None:
    """Whatever is a quantity is good."""


RESOURCESLICES = Kind(_create, _update)
