"""What the server makes of a new or changed object before it is validated.

Input: a canonical, defaulted object, changed in place; for an update also the stored one, which is left alone (parts of
it may become parts of the new one). `metadata` has its system fields already: a new object its `uid`, `name` and
`creationTimestamp`. Source of the rules: PrepareForCreate and PrepareForUpdate in k8s.io/kubernetes/pkg/registry.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cache

from knarr.api import codec
from knarr.api.resources import Resource
from knarr.api.strategy import (
    certificates,
    claims,
    devices,
    dropped,
    extensions,
    jobs,
    limit_ranges,
    namespaces,
    pods,
    rules,
    service_accounts,
    services,
    slices,
    volumes,
    webhooks,
    workloads,
)
from knarr.api.strategy.members import keep
from knarr.apimachinery.types import Object

_Creation = Callable[[Object], None]
#: The new object, the old one, and the moment of the change (RFC 3339; empty where nobody said).
_Change = Callable[[Object, Object, str], None]

_CREATIONS: Mapping[tuple[str, str], _Creation] = {
    ("", "limitranges"): limit_ranges.create,
    ("", "namespaces"): namespaces.create,
    ("", "persistentvolumeclaims"): claims.create,
    ("", "persistentvolumes"): volumes.create,
    ("", "pods"): pods.create,
    ("", "serviceaccounts"): service_accounts.create,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): webhooks.create,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): webhooks.create,
    ("apiextensions.k8s.io", "customresourcedefinitions"): extensions.create_definition,
    ("apiregistration.k8s.io", "apiservices"): extensions.create_api_service,
    ("apps", "daemonsets"): workloads.create_daemon_set,
    ("batch", "jobs"): jobs.create,
    ("certificates.k8s.io", "certificatesigningrequests"): certificates.create,
    ("discovery.k8s.io", "endpointslices"): slices.create,
}
_CHANGES: Mapping[tuple[str, str, str], _Change] = {
    ("", "namespaces", ""): namespaces.update,
    ("", "persistentvolumeclaims", ""): claims.update,
    ("", "persistentvolumes", "status"): volumes.update_status,
    ("", "pods", "status"): pods.update_status,
    ("", "serviceaccounts", ""): service_accounts.update,
    ("", "services", ""): services.update,
    ("apiextensions.k8s.io", "customresourcedefinitions", ""): extensions.update_definition,
    ("apps", "daemonsets", ""): workloads.update_daemon_set,
    ("certificates.k8s.io", "certificatesigningrequests", ""): certificates.update,
    ("certificates.k8s.io", "certificatesigningrequests", "status"): certificates.update_status,
    ("discovery.k8s.io", "endpointslices", ""): slices.update,
    ("resource.k8s.io", "resourceclaims", "status"): devices.update_claim_status,
}
#: Subresources that change a part of the object of their own choice.
_PARTS: Mapping[tuple[str, str, str], _Change] = {
    ("", "namespaces", "finalize"): namespaces.finalize,
    ("", "pods", "ephemeralcontainers"): pods.update_ephemeral_containers,
    ("", "pods", "resize"): pods.resize,
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): certificates.approve,
}
#: What is done when changes are counted.
_FINISHES: Mapping[tuple[str, str], _Change] = {
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): webhooks.finish,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): webhooks.finish,
}
_TELL_EMPTY_APART = frozenset({"MutatingWebhookConfiguration", "NetworkPolicy", "ValidatingWebhookConfiguration"})
_HEAD = frozenset({"metadata", "kind", "apiVersion", "status"})


def prepare_create(resource: Resource, obj: Object) -> None:
    """Wipe what a client may not set in a new object, and fill in what the server knows."""
    rule = rules.of(resource)
    if rule.generation:
        _set(obj["metadata"], "generation", 1 if rule.generation_from_start else None)
    if rule.status and resource.plural != "nodes":
        _set(obj, "status", _no_status(resource))
    dropped.drop(resource, obj)
    special = _CREATIONS.get((resource.group, resource.plural))
    if special is not None:
        special(obj)


def prepare_update(resource: Resource, obj: Object, old: Object, subresource: str = "", now: str = "") -> None:
    """Take back what a client may not change through this (sub)resource, and count the generation.

    `now` (RFC 3339, whole seconds) is for the few kinds that note when their status changed.
    """
    for step in _steps_of_change(resource, subresource):
        step(obj, old, now)


@cache
def _steps_of_change(resource: Resource, subresource: str) -> tuple[_Change, ...]:
    """What is done when a (sub)resource is changed, in this order: for many kinds nothing."""
    key, of_status, rule = (resource.group, resource.plural, subresource), subresource == "status", rules.of(resource)
    steps: list[_Change | None] = []
    if key in _PARTS:
        steps.append(_PARTS[key])
    elif of_status:
        steps.append(lambda obj, old, _now: _keep_all_but_status(resource, obj, old))
    elif rule.status:
        steps.append(lambda obj, old, _now: keep(obj, old, "status"))
    if not of_status and dropped.concerns(resource):
        steps.append(lambda obj, old, _now: dropped.drop(resource, obj, old))
    steps.append(_CHANGES.get(key))
    if rule.generation:
        steps.append(lambda obj, old, _now: _count(rule, obj, old, of_status=of_status))
    steps.append(_FINISHES.get((resource.group, resource.plural)))
    return tuple(step for step in steps if step is not None)


def _no_status(resource: Resource) -> Object | None:
    field = _status_field(resource)
    return None if field is None or field.empty != "zero" else field.zero()


@cache
def _status_field(resource: Resource) -> codec.FieldInfo | None:
    info = codec.type_of(resource.api_version, resource.kind)
    return info.fields.get("status") if info is not None else None


def _set(obj: Object, name: str, value: object) -> None:
    if value is None:
        obj.pop(name, None)
    else:
        obj[name] = value


def _keep_all_but_status(resource: Resource, obj: Object, old: Object) -> None:
    keep(obj, old, *({*obj, *old} - _HEAD))
    kept = rules.of(resource).status_metadata
    keep(obj["metadata"], old["metadata"], *rules.KEPT_METADATA[kept])


def _count(rule: rules.Rules, obj: Object, old: Object, *, of_status: bool) -> None:
    """The generation is the old one, or one more when a member that counts has changed; a status never counts."""
    generation = old["metadata"].get("generation", 0)
    changed = any(_differs(obj, old, name) for name in rule.generation) or _counts_otherwise(obj, old)
    if changed and not of_status:
        generation += 1
    _set(obj["metadata"], "generation", generation or None)


def _differs(obj: Object, old: Object, name: str) -> bool:
    """Whether a member has changed; an empty list is none, save for the few kinds that tell them apart."""
    if obj.get(name) == old.get(name):
        return False
    if name not in obj or obj["kind"] in _TELL_EMPTY_APART:
        return True
    part = {name: copy.deepcopy(obj[name])}
    codec.strip(obj["apiVersion"], obj["kind"], part)
    return part.get(name) != old.get(name)


def _counts_otherwise(obj: Object, old: Object) -> bool:
    """A Deployment counts its annotations too, an EndpointSlice its labels."""
    member = {"Deployment": "annotations", "EndpointSlice": "labels"}.get(obj["kind"], "")
    return bool(member) and obj["metadata"].get(member) != old["metadata"].get(member)
