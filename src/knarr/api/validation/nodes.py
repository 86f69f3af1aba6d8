"""Nodes."""

from __future__ import annotations

import copy

from knarr.api.validation import names, quantities
from knarr.api.validation.addresses import network_warnings
from knarr.api.validation.checks import Errors, items, label_key, texts
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import Kind
from knarr.api.validation.selectors import check_effect
from knarr.apimachinery import field
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object


def _create(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    # Kubernetes says metadata.taints for what stands in the spec.
    check_taints(errors, items(spec, "taints"), "metadata.taints")
    _check_images(errors, obj)
    _check_capacity(errors, obj)
    _check_cidrs(errors, spec)


def check_taints(errors: Errors, taints: object, path: str) -> None:
    """A node's taints: unique by key and effect."""
    seen: set[tuple[str, str]] = set()
    for at, taint in enumerate(taints if isinstance(taints, list | tuple) else ()):
        here = f"{path}[{at}]"
        key, value, effect = (taint.get(name, "") for name in ("key", "value", "effect"))
        label_key(errors, f"{here}.key", key)
        wrong = "; ".join(names.label_value(value))
        if wrong:
            errors.append(field.invalid(f"{here}.value", value, wrong))
        check_effect(errors, effect, f"{here}.effect")
        if (key, effect) in seen:
            shown = internal("core.v1.Taint", taint)
            detail = "taints must be unique by key and effect pair"
            errors.append(FieldError("FieldValueDuplicate", here, shown, detail))
        seen.add((key, effect))


def _check_images(errors: Errors, obj: Object) -> None:
    for at, image in enumerate(items(obj.get("status") or {}, "images")):
        if not items(image, "names"):
            errors.append(field.required(f"status.images[{at}].names"))


def _check_capacity(errors: Errors, obj: Object) -> None:
    status = obj.get("status") or {}
    for name in ("capacity", "allocatable"):
        for key, text in (status.get(name) or {}).items():
            path = f"status.{name}[{key}]"
            quantities.check_value(errors, path, key, quantities.parse(text))


def _check_cidrs(errors: Errors, spec: Object) -> None:
    cidrs = _cidrs(spec)
    parsed = [names.parse_cidr(cidr) for cidr in cidrs]
    for at, cidr in enumerate(cidrs):
        texts(errors, f"spec.podCIDRs[{at}]", cidr, names.cidr(cidr))
    if len(cidrs) <= 1:
        return
    families = {network.version for network in parsed if network is not None}
    if len(families) < 2 or len(cidrs) > 2:
        wrong = "may specify no more than one CIDR for each IP family"
        errors.append(field.invalid("spec.podCIDRs", list(cidrs), wrong))


def _cidrs(spec: Object) -> list[str]:
    """The node's ranges; the older single field wins over a list that begins otherwise."""
    single, listed = spec.get("podCIDR", ""), list(items(spec, "podCIDRs"))
    return [single] if single and listed[:1] != [single] else listed


def _update(errors: Errors, obj: Object, old: Object) -> None:
    _create(errors, obj)
    _check_addresses(errors, obj)
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    if _cidrs(before) and _cidrs(spec) != _cidrs(before):
        wrong = 'node updates may not change podCIDR except from "" to valid'
        errors.append(field.forbidden("spec.podCIDRs", wrong))
    if before.get("providerID") and spec.get("providerID", "") != before["providerID"]:
        wrong = 'node updates may not change providerID except from "" to valid'
        errors.append(field.forbidden("spec.providerID", wrong))
    munged = _munged(spec, before)
    if munged != before:
        wrong = "node updates may only change labels, taints, or capacity (or configSource, if the"
        wrong += " DynamicKubeletConfig feature gate is enabled)"
        errors.append(field.forbidden("", wrong))


def _munged(spec: Object, before: Object) -> Object:
    out = copy.copy(spec)
    for name in ("podCIDR", "podCIDRs", "providerID", "taints", "unschedulable", "configSource", "externalID"):
        out.pop(name, None)
        if name in before:
            out[name] = before[name]
    return out


def _check_addresses(errors: Errors, obj: Object) -> None:
    seen: list[Object] = []
    for at, address in enumerate(items(obj.get("status") or {}, "addresses")):
        if address in seen:
            errors.append(field.duplicate(f"status.addresses[{at}]", address))
        seen.append(address)


def _status(errors: Errors, obj: Object, old: Object) -> None:
    _update(errors, obj, old)


def _warn(obj: Object, old: Object | None) -> list[str]:
    out: list[str] = []
    spec = obj.get("spec") or {}
    if spec.get("configSource") is not None:
        out.append("spec.configSource: the feature is no longer supported")
    if spec.get("externalID"):
        out.append("spec.externalID: deprecated in v1.11, and unused in v1.33+")
    for at, network in enumerate(items(spec, "podCIDRs")):
        out += network_warnings(f"spec.podCIDRs[{at}]", network)
    return out


NODES = Kind(_create, _update, {"status": _status}, warnings=_warn)
