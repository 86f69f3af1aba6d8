"""Events of core/v1 and events.k8s.io/v1 (one kind, two faces), and Leases."""

from __future__ import annotations

from knarr.api.validation.checks import Errors, immutable, label_key, not_negative, positive
from knarr.api.validation.kind import META_AS_CREATED, Kind
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_LIMIT, _NOTE_LIMIT = 128, 1024
_OTHER_NAMESPACE = "does not match event.namespace"
_TYPES = ("Normal", "Warning")


def _event(errors: Errors, obj: Object) -> None:
    _check_common(errors, obj)
    if not _is_new(obj):
        return
    _check_series(errors, obj)
    if not obj.get("eventTime"):
        errors.append(field.required("eventTime"))
    kind = obj.get("type", "")
    if kind not in _TYPES:
        errors.append(field.invalid("type", "", f"has invalid value: {kind}"))
    for old, name in _OLD_FIELDS:
        if obj.get(name):
            errors.append(field.invalid(old, "", "needs to be unset"))


def _is_new(obj: Object) -> bool:
    """Whether the object speaks `events.k8s.io`, whose rules are stricter."""
    return str(obj.get("apiVersion", "")).startswith("events.k8s.io/")


def _check_common(errors: Errors, obj: Object) -> None:
    involved = (obj.get("involvedObject") or obj.get("regarding") or {}).get("namespace", "")
    namespace = (obj.get("metadata") or {}).get("namespace", "")
    if not obj.get("eventTime"):
        if involved != namespace and (involved or namespace != "default"):
            errors.append(field.invalid("involvedObject.namespace", involved, _OTHER_NAMESPACE))
        return
    if not involved and namespace not in ("default", "kube-system"):
        errors.append(field.invalid("involvedObject.namespace", involved, _OTHER_NAMESPACE))
    controller, name = obj.get("reportingController") or obj.get("reportingComponent") or "", "reportingController"
    if not _is_new(obj):
        name = "reportingComponent"
    if not controller:
        errors.append(field.required(name))
    label_key(errors, name, controller)
    for name in ("reportingInstance", "action", "reason"):
        _check_text(errors, obj.get(name, ""), name)
    note = obj.get("message") or obj.get("note") or ""
    if len(note.encode()) > _NOTE_LIMIT:
        errors.append(field.invalid("message", "", f"can have at most {_NOTE_LIMIT} characters"))


def _check_text(errors: Errors, value: str, name: str) -> None:
    if not value:
        errors.append(field.required(name))
    if len(value.encode()) > _LIMIT:
        errors.append(field.invalid(name, "", f"can have at most {_LIMIT} characters"))


def _check_series(errors: Errors, obj: Object) -> None:
    series = obj.get("series")
    if series is None:
        return
    if series.get("count", 0) < 2:
        errors.append(field.invalid("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        errors.append(field.required("series.lastObservedTime"))


_OLD_FIELDS = (
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("source", "deprecatedSource"),
)
#: Fields of `events.k8s.io` that never change, with the inner form's names for them.
_FIXED = (
    ("regarding", "involvedObject"),
    ("reason", "reason"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("action", "action"),
    ("related", "related"),
    ("reportingController", "reportingController"),
    ("reportingInstance", "reportingInstance"),
)


def _update_event(errors: Errors, obj: Object, old: Object) -> None:
    _check_common(errors, obj)
    if not _is_new(obj):
        return
    if obj.get("series") != old.get("series"):
        _check_series(errors, obj)
    for name, shown in _FIXED:
        immutable(errors, shown, obj.get(name), old.get(name))


def _lease(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    duration = spec.get("leaseDurationSeconds")
    if duration is not None:
        positive(errors, "spec.leaseDurationSeconds", duration)
    not_negative(errors, "spec.leaseTransitions", spec.get("leaseTransitions"))
    strategy, preferred = spec.get("strategy"), spec.get("preferredHolder")
    if strategy is not None:
        label_key(errors, "spec.strategy", strategy)
    if preferred and not strategy:
        wrong = "must be specified when `preferredHolder` is specified"
        errors.append(field.required("spec.strategy", wrong))


EVENTS = Kind(_event, _update_event, update_meta=META_AS_CREATED)
LEASES = Kind(_lease)
