"""IP families of Services on a single-stack cluster: what is inferred, and what such a cluster cannot give.

Input: a Service's spec, changed in place. Source of the rules: pkg/registry/core/service/storage/alloc.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from knarr.apimachinery import field
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object

_FAMILIES = ("IPv4", "IPv6")
_NO_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")


def sync_cluster_ips(spec: Object, old: Object | None) -> None:
    """Bring `clusterIP` and `clusterIPs` together where a client knows only one of them."""
    single, plural = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    if old is None:
        if single and not plural:
            spec["clusterIPs"] = [single]
        return
    before, before_plural = old.get("clusterIP", ""), old.get("clusterIPs") or []
    if before_plural and not plural and before == single:
        spec["clusterIPs"] = list(before_plural)
    elif before != single and plural == before_plural:
        if before and not single:
            spec.pop("clusterIPs", None)
        else:
            spec["clusterIPs"] = [single]


def is_headless(spec: Object) -> bool:
    """Whether the Service has no address of its own by choice."""
    first: str | None = (spec.get("clusterIPs") or [spec.get("clusterIP")])[0]
    return first == "None"


def complete(spec: Object, old: Object | None, cluster: str) -> list[FieldError]:
    """Fill in `ipFamilies` and `ipFamilyPolicy` on a cluster of one family; gives what cannot be had."""
    if spec.get("type") == "ExternalName":
        return []
    errors = _shape_errors(spec) or _policy_errors(spec)
    if errors:
        return errors
    if old is not None and spec.get("ipFamilyPolicy") == "SingleStack":
        _shrink(spec, old)
    errors = _infer(spec, cluster)
    if errors:
        return errors
    if is_headless(spec) and not spec.get("selector"):
        _complete_headless(spec, cluster)
        return []
    errors = list(_availability_errors(spec, cluster))
    if errors:
        return errors
    spec["ipFamilies"] = spec.get("ipFamilies") or [cluster]
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    return []


def _shape_errors(spec: Object) -> list[FieldError]:
    errors = []
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        path = f"spec.ipFamilies[{index}]"
        if family not in _FAMILIES:
            errors.append(field.not_supported(path, family, _FAMILIES))
        if family in families[:index]:
            errors.append(field.duplicate(path, family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _POLICIES:
        errors.append(field.not_supported("spec.ipFamilyPolicy", policy, _POLICIES))
    errors += _address_errors(spec)
    return errors


def _address_errors(spec: Object) -> list[FieldError]:
    plural = spec.get("clusterIPs") or []
    if plural and plural[0] != spec.get("clusterIP", ""):
        return [field.invalid("spec.clusterIPs", plural, "first value must match `clusterIP`")]
    if is_headless(spec):
        if len(plural) > 1:
            return [field.invalid("spec.clusterIPs", plural, "'None' must be the first and only value")]
        return []
    return [
        field.invalid(f"spec.clusterIPs[{index}]", text, _NO_ADDRESS)
        for index, text in enumerate(plural)
        if family_of(text) is None
    ]


def _policy_errors(spec: Object) -> list[FieldError]:
    if spec.get("ipFamilyPolicy") != "SingleStack":
        return []
    errors = []
    head = "must be 'RequireDualStack' or 'PreferDualStack' when multiple"
    if len(spec.get("clusterIPs") or ()) > 1:
        errors.append(field.invalid("spec.ipFamilyPolicy", "SingleStack", f"{head} cluster IPs are specified"))
    if len(spec.get("ipFamilies") or ()) > 1:
        errors.append(field.invalid("spec.ipFamilyPolicy", "SingleStack", f"{head} IP families are specified"))
    return errors


def _shrink(spec: Object, old: Object) -> None:
    """A Service that becomes single-stack keeps its first address and family."""
    for name in ("clusterIPs", "ipFamilies"):
        if len(spec.get(name) or ()) == 2 and spec[name] == old.get(name):
            spec[name] = spec[name][:1]


def _infer(spec: Object, cluster: str) -> list[FieldError]:
    """Families of addresses that were asked for."""
    errors = []
    families = list(spec.get("ipFamilies") or [])
    for index, text in enumerate(spec.get("clusterIPs") or ()):
        if text == "None":
            break
        family = family_of(text)
        if family is None or index < len(families):
            continue
        if family != cluster:
            why = f"{family} is not configured on this cluster"
            errors.append(field.invalid(f"spec.clusterIPs[{index}]", spec["clusterIPs"], why))
        else:
            families.append(family)
    if families:
        spec["ipFamilies"] = families
    return errors


def _complete_headless(spec: Object, cluster: str) -> None:
    """Without a selector the endpoints may be of any family."""
    families = list(spec.get("ipFamilies") or [cluster])
    if len(families) < 2 and spec.get("ipFamilyPolicy") != "SingleStack":
        families.append("IPv6" if families[0] == "IPv4" else "IPv4")
    spec["ipFamilies"] = families
    spec.setdefault("ipFamilyPolicy", "RequireDualStack")


def _availability_errors(spec: Object, cluster: str) -> Iterable[FieldError]:
    if spec.get("ipFamilyPolicy") == "RequireDualStack":
        why = "this cluster is not configured for dual-stack services"
        yield field.invalid("spec.ipFamilyPolicy", "RequireDualStack", why)
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family != cluster:
            yield field.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")


def family_of(text: str) -> str | None:
    """The family of an address; None for text that is none."""
    try:
        return f"IPv{ipaddress.ip_address(text).version}"
    except ValueError:
        return None
