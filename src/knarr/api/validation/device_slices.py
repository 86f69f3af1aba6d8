"""ResourceSlices: the devices that drivers offer."""

from __future__ import annotations

import re

from knarr.api.validation import names, quantities
from knarr.api.validation.checks import Errors, immutable, items, texts
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import Kind
from knarr.api.validation.selectors import check_node_selector
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_ONE_PLACE = f"exactly one of {', '.join(f'`{name}`' for name in _PLACES)} is required"
_ONE_VALUE = "exactly one value must be specified"
_VALUES = ("int", "bool", "string", "version", "ints", "bools", "strings", "versions")
_MAX_TEXT, _MAX_NAME, _MAX_DEVICES = 64, 32, 128
_NUMBER, _WORD = r"(0|[1-9]\d*)", r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_WORD}(\.{_WORD})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?")


def check_qualified(errors: Errors, name: str, path: str, *, full: bool = False) -> None:
    """An attribute's or capacity's name: a C identifier, with a domain before a slash (`full`: always)."""
    domain, slash, identifier = name.partition("/")
    if not slash:
        _check_identifier(errors, name, path)
        if full:
            wrong = "a fully qualified name must be a domain and a name separated by a slash"
            errors.append(field.invalid(path, name, wrong))
        return
    if not domain:
        errors.append(field.required(path, "the domain must not be empty"))
    else:
        if len(domain) > 63:
            errors.append(field.too_long(path, 63))
        texts(errors, path, domain, names.dns_subdomain(domain))
    if not identifier:
        errors.append(field.required(path, "the name must not be empty"))
    else:
        _check_identifier(errors, identifier, path)


def _check_identifier(errors: Errors, name: str, path: str) -> None:
    if len(name.encode()) > _MAX_NAME:
        errors.append(field.too_long(path, _MAX_NAME))
    texts(errors, path, name, names.c_identifier(name))


def _create(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    driver = spec.get("driver", "")
    if not driver:
        errors.append(field.required("spec.driver"))
    else:
        if len(driver) > 63:
            errors.append(field.too_long("spec.driver", 63))
        texts(errors, "spec.driver", driver, names.dns_subdomain(driver))
    _check_pool(errors, spec.get("pool") or {}, "spec.pool")
    _check_place(errors, spec)
    devices = items(spec, "devices")
    if len(devices) > _MAX_DEVICES:
        errors.append(field.too_many("spec.devices", len(devices), _MAX_DEVICES))
    seen: set[str] = set()
    for at, device in enumerate(devices):
        path, name = f"spec.devices[{at}]", device.get("name", "")
        _check_device(errors, device, path)
        if name in seen:
            errors.append(field.duplicate(f"{path}.name", name))
        seen.add(name)


def _check_pool(errors: Errors, pool: Object, path: str) -> None:
    name = pool.get("name", "")
    if not name:
        errors.append(field.required(f"{path}.name"))
    else:
        if len(name) > 253:
            errors.append(field.too_long(f"{path}.name", 253))
        for part in name.split("/"):
            texts(errors, f"{path}.name", part, names.dns_subdomain(part))
    if pool.get("resourceSliceCount", 0) <= 0:
        wrong = "must be greater than zero"
        errors.append(field.invalid(f"{path}.resourceSliceCount", pool.get("resourceSliceCount", 0), wrong))
    if pool.get("generation", 0) < 0:
        wrong = "must be greater than or equal to zero"
        errors.append(field.invalid(f"{path}.generation", pool["generation"], wrong))


def _check_place(errors: Errors, spec: Object) -> None:
    given = []
    node = spec.get("nodeName")
    if node is not None:
        if node:
            given.append("nodeName")
            texts(errors, "spec.nodeName", node, names.dns_subdomain(node))
        else:
            wrong = "must be either unset or set to a non-empty string"
            errors.append(field.invalid("spec.nodeName", node, wrong))
    selector = spec.get("nodeSelector")
    if selector is not None:
        given.append("nodeSelector")
        check_node_selector(errors, selector, "spec.nodeSelector")
        if len(items(selector, "nodeSelectorTerms")) != 1:
            wrong = "must have exactly one node selector term"
            errors.append(field.invalid("spec.nodeSelector.nodeSelectorTerms", field.OMITTED, wrong))
    for name in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(name):
            given.append(name)
        elif spec.get(name) is False:
            errors.append(field.invalid(f"spec.{name}", False, "must be either unset or set to true"))
    if not given:
        errors.append(field.required("spec", _ONE_PLACE))
    elif len(given) > 1:
        shown = f"{{{', '.join(f'`{name}`' for name in given)}}}"
        errors.append(field.invalid("spec", shown, f"{_ONE_PLACE}, but multiple fields are set"))


def _check_device(errors: Errors, device: Object, path: str) -> None:
    name = device.get("name", "")
    texts(errors, f"{path}.name", name, names.dns_label(name))
    for key, attribute in (device.get("attributes") or {}).items():
        here = f"{path}.attributes[{key}]"
        check_qualified(errors, key, here)
        _check_attribute(errors, attribute, here)
    for key, capacity in (device.get("capacity") or {}).items():
        here = f"{path}.capacity[{key}]"
        check_qualified(errors, key, here)
        quantities.not_negative(errors, f"{here}.value", quantities.parse(capacity.get("value")))
    for at, taint in enumerate(items(device, "taints")):
        _check_taint(errors, taint, f"{path}.taints[{at}]")


def _check_attribute(errors: Errors, attribute: Object, path: str) -> None:
    given = [name for name in _VALUES if attribute.get(name) is not None]
    if len(given) != 1:
        shown = internal("resource.v1.DeviceAttribute", attribute) if given else ""
        errors.append(field.invalid(path, shown, _ONE_VALUE))
    text, version = attribute.get("string"), attribute.get("version")
    if text is not None and len(text.encode()) > _MAX_TEXT:
        errors.append(field.too_long(f"{path}.string", _MAX_TEXT))
    if version is not None:
        if len(version.encode()) > _MAX_TEXT:
            errors.append(field.too_long(f"{path}.version", _MAX_TEXT))
        if not _SEMVER.fullmatch(version):
            wrong = "must be a string compatible with semver.org spec 2.0.0"
            errors.append(field.invalid(f"{path}.version", version, wrong))


def _check_taint(errors: Errors, taint: Object, path: str) -> None:
    key, value, effect = (taint.get(name, "") for name in ("key", "value", "effect"))
    texts(errors, f"{path}.key", key, names.qualified_name(key))
    texts(errors, f"{path}.value", value, names.label_value(value))
    if not effect:
        errors.append(field.required(f"{path}.effect"))
    elif effect not in ("NoExecute", "NoSchedule", "None"):
        errors.append(field.not_supported(f"{path}.effect", effect, ("NoExecute", "NoSchedule", "None")))


def _update(errors: Errors, obj: Object, old: Object) -> None:
    _create(errors, obj)
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    for name in ("driver", "nodeName"):
        immutable(errors, f"spec.{name}", spec.get(name), before.get(name))
    new, had = ((part.get("pool") or {}).get("name") for part in (spec, before))
    immutable(errors, "spec.pool.name", new, had)


RESOURCESLICES = Kind(_create, _update)
