"""ResourceQuota's decisions: whether a write fits into the quotas of its namespace, and what they have used then.

Input: the write, the quotas, what they have used, the time. Output: what each quota that is charged has used with it.
Invariant: nothing is charged to any quota unless the write fits into all of them. `quota_accounting` writes it down.
Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from knarr.api.semantics.quota_scopes import selectors
from knarr.api.semantics.quota_usage import IGNORED, Measure, measure, unspecified
from knarr.api.semantics.resource_lists import Resources, added, beyond, grown, only, parsed, text
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.plugin import refuse
from knarr.apiserver.attributes import Attributes

_PODS = ("pods", "")


class Limited(NamedTuple):
    """What may only be used where a quota covers it: an administrator's rule for the objects of one resource.

    `contains` are parts of names of quota resources; `scopes` are requirements (`scopeName`, `operator`, `values`).
    """

    resource: str
    group: str = ""
    contains: tuple[str, ...] = ()
    scopes: tuple[Object, ...] = ()


def measure_of(attributes: Attributes) -> Measure | None:
    """How a write is counted; None for one that cannot use more of any quota."""
    key, operation = attributes.kind_key, attributes.operation
    if not attributes.namespace or attributes.object is None or key in IGNORED or key == ("namespaces", ""):
        return None
    if attributes.subresource:
        resizes = key == _PODS and attributes.subresource == "resize" and operation == "UPDATE"
        return measure(*key) if resizes else None
    found = measure(*key)
    if operation == "CREATE":
        return found
    grows = operation == "UPDATE" and found.updates(attributes.old_object or {}, attributes.object)
    return found if grows else None


def charge(
    attributes: Attributes,
    quotas: Sequence[Object],
    used: Mapping[str, Resources],
    now: datetime,
    limited: Sequence[Limited] = (),
) -> dict[str, Resources]:
    """What each quota that is charged has used with the write, by name. Raises `StatusError` if it does not fit.

    `used` is what the quotas have used so far, by name.
    """
    found, obj = measure_of(attributes), attributes.object
    if found is None or obj is None:
        return {}
    interested = [quota for quota in quotas if _is_interested(attributes, found, quota)]
    usage = found.usage(obj, now) if interested or limited else {}
    negative = sorted(name for name, value in usage.items() if value.sign < 0)
    if negative:
        raise refuse(attributes, f"quota usage is negative for resource(s): {','.join(negative)}")
    deltas = {_name(quota): grown(usage, _previous(attributes, found, quota, now)) for quota in interested}
    if limited and (not interested or any(deltas.values())):
        _check_cover(attributes, found, usage, [rule for rule in limited if _concerns(rule, attributes)], quotas)
    charged: dict[str, Resources] = {}
    for quota in interested:
        total = _fit(attributes, quota, used[_name(quota)], deltas[_name(quota)])
        if total is not None:
            charged[_name(quota)] = total
    return charged


def _concerns(rule: Limited, attributes: Attributes) -> bool:
    return (rule.resource, rule.group) == attributes.kind_key


def _check_cover(
    attributes: Attributes, found: Measure, usage: Resources, rules: Sequence[Limited], quotas: Sequence[Object]
) -> None:
    """Refuse what is limited and no quota covers. Raises `StatusError`."""
    obj = attributes.object or {}
    covering = [quota for quota in quotas if found.covers(quota, obj)]
    names = {name for quota in covering for name in found.counted(hard(quota))}
    parts = [part for rule in rules for part in rule.contains]
    bare = [name for name, value in usage.items() if value.sign > 0 and any(part in name for part in parts)]
    if uncovered := sorted(set(bare) - names):
        raise refuse(attributes, f"insufficient quota to consume: {','.join(uncovered)}")
    scopes = {
        selector.get("scopeName") for quota in quotas for selector in selectors(quota) if found.in_scope(selector, obj)
    }
    open_ = [
        scope
        for rule in rules
        for scope in rule.scopes
        if found.in_scope(scope, obj) and scope.get("scopeName") not in scopes
    ]
    if open_:
        shown = " ".join(f"{{{scope['scopeName']} {scope.get('operator', '')} {_go(scope)}}}" for scope in open_)
        raise refuse(attributes, f"insufficient quota to match these scopes: [{shown}]")


def _go(scope: Object) -> str:
    return f"[{' '.join(scope.get('values') or ())}]"


def hard(quota: Object) -> Resources:
    """What a quota allows, as far as it is in force."""
    return parsed((quota.get("status") or {}).get("hard"))


def used_of(quota: Object) -> Resources:
    """What a quota has used, as it says itself."""
    return parsed((quota.get("status") or {}).get("used"))


def _is_interested(attributes: Attributes, found: Measure, quota: Object) -> bool:
    """Whether a quota counts the object. Raises `StatusError` where it cannot be told how much."""
    obj = attributes.object
    names = found.counted(hard(quota))
    if obj is None or not names or not found.covers(quota, obj):
        return False
    missing = unspecified(obj, names) if attributes.kind_key == _PODS else ""
    if missing:
        raise refuse(attributes, f"failed quota: {_name(quota)}: must specify {missing}")
    if not used_of(quota).keys() >= set(names):
        raise refuse(attributes, f"status unknown for quota: {_name(quota)}, resources: {','.join(sorted(names))}")
    return True


def _previous(attributes: Attributes, found: Measure, quota: Object, now: datetime) -> Resources:
    """What the object used of a quota before the write."""
    old = attributes.old_object
    return found.usage(old, now) if old is not None and found.covers(quota, old) else {}


def _fit(attributes: Attributes, quota: Object, used: Resources, delta: Resources) -> Resources | None:
    """What a quota has used with the delta; None where the delta is nothing to it. Raises `StatusError`."""
    limits = hard(quota)
    requested = only(delta, limits)
    if not requested:
        return None
    total = added(used, requested)
    exceeded = beyond(only(total, requested), limits)
    if exceeded:
        parts = [text(only(listed, exceeded)) for listed in (requested, used, limits)]
        what = "exceeded quota: {}, requested: {}, used: {}, limited: {}".format(_name(quota), *parts)
        raise refuse(attributes, what)
    return total


def _name(quota: Object) -> str:
    name: str = quota["metadata"]["name"]
    return name
