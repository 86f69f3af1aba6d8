"""Rows of access, admission, scheduling, devices and the API's own kinds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from knarr.api.printers.text import NONE, UNSET, age, duration
from knarr.apimachinery.types import Object


def role_binding(obj: Object, now: datetime) -> list[Any]:
    """Name, role, age; users, groups, service accounts."""
    role, subjects = obj["roleRef"], obj.get("subjects") or ()
    accounts = [f"{one.get('namespace', '')}/{one['name']}" for one in subjects if one["kind"] == "ServiceAccount"]
    users = [one["name"] for one in subjects if one["kind"] == "User"]
    groups = [one["name"] for one in subjects if one["kind"] == "Group"]
    named = (", ".join(users), ", ".join(groups), ", ".join(accounts))
    return [obj["metadata"]["name"], f"{role['kind']}/{role['name']}", age(obj, now), *named]


def signing_request(obj: Object, now: datetime) -> list[Any]:
    """Name, age, signer, requestor, wanted duration, condition."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    wanted = spec.get("expirationSeconds")
    lasting = NONE if wanted is None else duration(wanted)
    types = [one["type"] for one in status.get("conditions") or ()]
    state = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    parts = [state, *(["Failed"] if "Failed" in types else []), *(["Issued"] if status.get("certificate") else [])]
    head = [obj["metadata"]["name"], age(obj, now), spec.get("signerName") or NONE, spec.get("username", "")]
    return [*head, lasting, ",".join(parts)]


def webhooks(obj: Object, now: datetime) -> list[Any]:
    """Name, how many, age."""
    return [obj["metadata"]["name"], len(obj.get("webhooks") or ()), age(obj, now)]


def validating_policy(obj: Object, now: datetime) -> list[Any]:
    """Name, validations, kind of its parameters, age."""
    return _policy(obj, "validations", now)


def mutating_policy(obj: Object, now: datetime) -> list[Any]:
    """Name, mutations, kind of its parameters, age."""
    return _policy(obj, "mutations", now)


def _policy(obj: Object, field: str, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    kind = spec.get("paramKind")
    shown = f"{kind['apiVersion']}/{kind['kind']}" if kind else UNSET
    return [obj["metadata"]["name"], len(spec.get(field) or ()), shown, age(obj, now)]


def policy_binding(obj: Object, now: datetime) -> list[Any]:
    """Name, policy, parameters, age."""
    spec = obj.get("spec") or {}
    reference, shown = spec.get("paramRef"), UNSET
    if reference:
        shown = _parameters(reference)
    return [obj["metadata"]["name"], spec.get("policyName", ""), shown, age(obj, now)]


def _parameters(reference: Object) -> str:
    """By name, in any namespace (`*`) where none is given, or by selector, in the form that Go prints."""
    if name := reference.get("name"):
        return f"{reference.get('namespace') or '*'}/{name}"
    selector = reference.get("selector")
    return UNSET if selector is None else _go_selector(selector)


def _go_selector(selector: Object) -> str:
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    wanted = "".join(
        f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},"
        f"Values:[{' '.join(one.get('values') or ())}],}},"
        for one in selector.get("matchExpressions") or ()
    )
    matching = f"MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{wanted}}},"
    return f"&LabelSelector{{{matching}}}"


def priority_class(obj: Object, now: datetime) -> list[Any]:
    """Name, value, whether the default, age, preemption."""
    default, policy = bool(obj.get("globalDefault")), obj.get("preemptionPolicy") or ""
    return [obj["metadata"]["name"], obj.get("value", 0), default, age(obj, now), policy]


def runtime_class(obj: Object, now: datetime) -> list[Any]:
    """Name, handler, age."""
    return [obj["metadata"]["name"], obj.get("handler", ""), age(obj, now)]


def lease(obj: Object, now: datetime) -> list[Any]:
    """Name, holder, age."""
    return [obj["metadata"]["name"], (obj.get("spec") or {}).get("holderIdentity") or "", age(obj, now)]


def flow_schema(obj: Object, now: datetime) -> list[Any]:
    """Name, level, precedence, distinguisher, age, whether its level is missing."""
    spec = obj.get("spec") or {}
    method = (spec.get("distinguisherMethod") or {}).get("type") or NONE
    conditions = (obj.get("status") or {}).get("conditions") or ()
    missing = next((one.get("status", "") for one in conditions if one["type"] == "Dangling"), "?")
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    shown = [level, spec.get("matchingPrecedence", 0), method]
    return [obj["metadata"]["name"], *shown, age(obj, now), missing]


def priority_level(obj: Object, now: datetime) -> list[Any]:
    """Name, type, shares, queues, hand size, queue length, age."""
    spec = obj.get("spec") or {}
    limited = spec.get("limited")
    queuing = ((limited or {}).get("limitResponse") or {}).get("queuing")
    shares = NONE if limited is None else limited.get("nominalConcurrencyShares", 0)
    names = ("queues", "handSize", "queueLengthLimit")
    queues = [NONE if queuing is None else queuing.get(name, 0) for name in names]
    return [obj["metadata"]["name"], spec.get("type", ""), shares, *queues, age(obj, now)]


def api_service(obj: Object, now: datetime) -> list[Any]:
    """Name, service, whether available, age."""
    service = (obj.get("spec") or {}).get("service")
    where = f"{service.get('namespace')}/{service.get('name')}" if service else "Local"
    condition = next((c for c in (obj.get("status") or {}).get("conditions") or () if c["type"] == "Available"), None)
    state = "Unknown" if condition is None else condition.get("status", "Unknown")
    if condition is not None and state != "True":
        state = f"{state} ({condition.get('reason', '')})"
    return [obj["metadata"]["name"], where, state, age(obj, now)]


def device_claim(obj: Object, now: datetime) -> list[Any]:
    """Name, state, age."""
    return [obj["metadata"]["name"], ",".join(_claim_states(obj)), age(obj, now)]


def _claim_states(obj: Object) -> Iterator[str]:
    status, deleted = obj.get("status") or {}, "deletionTimestamp" in obj["metadata"]
    if deleted:
        yield "deleted"
    if "allocation" in status:
        yield "allocated"
        if status.get("reservedFor"):
            yield "reserved"
    elif not deleted:
        yield "pending"


def device_slice(obj: Object, now: datetime) -> list[Any]:
    """Name, node, driver, pool, age."""
    spec = obj.get("spec") or {}
    shown = [spec.get("nodeName", ""), spec.get("driver", ""), (spec.get("pool") or {}).get("name", "")]
    return [obj["metadata"]["name"], *shown, age(obj, now)]
