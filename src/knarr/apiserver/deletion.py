"""Deletion, decided: what a DELETE does to an object, by its kind, its finalizers and the request's options.

Input: the object, the options, the time. Output: a plan; the object of the plan is a changed copy. No IO.
Source of the rules: k8s.io/apiserver/pkg/registry/rest/delete.go and registry/generic/registry/store.go.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal

from knarr.api.resources import Resource
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import conflict
from knarr.apimachinery.types import Object
from knarr.apiserver.traits import Traits

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_POLICIES = {"Orphan": ORPHAN, "Foreground": FOREGROUND, "Background": ""}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: nothing (the object goes already), write `obj` and keep it, write it and remove it, or remove."""

    action: Literal["nothing", "keep", "mark-and-remove", "remove"]
    obj: Object


def plan(resource: Resource, traits: Traits, obj: Object, options: Object, now: datetime.datetime) -> Plan:
    """Decide one deletion. Raises `StatusError` 409 for preconditions that do not hold."""
    check_preconditions(resource, obj, options)
    copy = {**obj, "metadata": dict(obj["metadata"])}
    graceful, pending = False, False
    period = 0
    if (resource.plural, resource.group) == ("pods", ""):
        graceful, pending, period = _pod(copy, options, now)
    if pending:
        return Plan("nothing", obj)
    meta = copy["metadata"]
    finalizers = _finalizers(traits, meta.get("finalizers") or [], options)
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)
    if graceful:
        return Plan("keep" if finalizers or period > 0 else "mark-and-remove", copy)
    if not finalizers:
        return Plan("remove", obj)
    _mark(meta, now)
    return Plan("keep", copy)


def check_preconditions(resource: Resource, obj: Object, options: Object) -> None:
    """Raises `StatusError` 409 when the object is not the one that the options mean."""
    wanted, meta = options.get("preconditions") or {}, obj["metadata"]
    uid, version = wanted.get("uid"), wanted.get("resourceVersion")
    if uid is not None and uid != meta.get("uid"):
        raise conflict(
            resource.kind,
            resource.group,
            meta["name"],
            f"the UID in the precondition ({uid}) does not match the UID in record ({meta.get('uid')}). "
            "The object might have been deleted and then recreated",
        )
    if version is not None and version != meta.get("resourceVersion"):
        raise conflict(
            resource.kind,
            resource.group,
            meta["name"],
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
            f"({meta.get('resourceVersion')}). The object might have been modified",
        )


def _pod(pod: Object, options: Object, now: datetime.datetime) -> tuple[bool, bool, int]:
    """(changed for a graceful deletion, already going, grace in seconds). Changes the pod's metadata."""
    meta = pod["metadata"]
    asked = options.get("gracePeriodSeconds")
    if asked is not None and asked < 0:
        asked = 1
    if meta.get("deletionTimestamp"):
        return _shorten(meta, asked)
    spec = pod.get("spec") or {}
    period = asked if asked is not None else spec.get("terminationGracePeriodSeconds") or 0
    if not spec.get("nodeName") or (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        period = 0
    if period < 0:
        period = 1
    meta["deletionTimestamp"] = timestamps.seconds(now + datetime.timedelta(seconds=period))
    meta["deletionGracePeriodSeconds"] = period
    if meta.get("generation"):
        meta["generation"] += 1
    return True, False, period


def _shorten(meta: Object, asked: int | None) -> tuple[bool, bool, int]:
    """A pod that is going: only a shorter grace period changes anything."""
    have = meta.get("deletionGracePeriodSeconds")
    if not have:
        return False, False, 0
    if asked is None or asked >= have:
        return False, True, have
    moment = timestamps.parse(meta["deletionTimestamp"]) - datetime.timedelta(seconds=have - asked)
    meta["deletionTimestamp"] = timestamps.seconds(moment)
    meta["deletionGracePeriodSeconds"] = asked
    return True, False, asked


def _finalizers(traits: Traits, have: list[str], options: Object) -> list[str]:
    """The finalizers with those of garbage collection as options, object and kind want them."""
    if traits.garbage_collection == "unsupported":
        return have
    wanted = _wanted(traits, have, options)
    others = [item for item in have if item not in (ORPHAN, FOREGROUND)]
    if wanted and wanted in have and len(others) + 1 == len(have):
        return have
    return [*others, wanted] if wanted else others


def _wanted(traits: Traits, have: list[str], options: Object) -> str:
    if options.get("orphanDependents") is not None:
        return ORPHAN if options["orphanDependents"] else ""
    if options.get("propagationPolicy") is not None:
        return _POLICIES[options["propagationPolicy"]]
    for item in have:
        if item in (ORPHAN, FOREGROUND):
            return item
    return ORPHAN if traits.garbage_collection == "orphan" else ""


def _mark(meta: Object, now: datetime.datetime) -> None:
    """An object without grace that waits for its finalizers."""
    before = meta.get("deletionTimestamp")
    if not before and meta.get("generation"):
        meta["generation"] += 1
    if not before or timestamps.parse(before) > now:
        meta["deletionTimestamp"] = timestamps.seconds(now)
    meta["deletionGracePeriodSeconds"] = 0
