"""Rows of the kinds that run pods."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from knarr.api.printers.text import NONE, UNKNOWN, UNSET, age, containers, duration, labels, selector, since
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object


def deployment(obj: Object, now: datetime) -> list[Any]:
    """Name, ready, up-to-date, available, age; containers, images, selector."""
    spec, status = obj["spec"], obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    counts = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    tail = [age(obj, now), *containers(spec["template"]["spec"]), selector(spec.get("selector"))]
    return [obj["metadata"]["name"], ready, *counts, *tail]


def replica_set(obj: Object, now: datetime) -> list[Any]:
    """Name, desired, current, ready, age; containers, images, selector."""
    return [*_replicas(obj, now), selector(obj["spec"].get("selector"))]


def replication_controller(obj: Object, now: datetime) -> list[Any]:
    """As a replica set; its selector is a plain map."""
    return [*_replicas(obj, now), labels(obj["spec"].get("selector"))]


def _replicas(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    counts = [spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    template = (spec.get("template") or {}).get("spec") or {}
    return [obj["metadata"]["name"], *counts, age(obj, now), *containers(template)]


def daemon_set(obj: Object, now: datetime) -> list[Any]:
    """Name, counts, node selector, age; containers, images, selector."""
    spec, status = obj["spec"], obj.get("status") or {}
    names = "desiredNumberScheduled currentNumberScheduled numberReady updatedNumberScheduled numberAvailable"
    pod = spec["template"]["spec"]
    head = [obj["metadata"]["name"], *(status.get(name, 0) for name in names.split()), labels(pod.get("nodeSelector"))]
    return [*head, age(obj, now), *containers(pod), selector(spec.get("selector"))]


def stateful_set(obj: Object, now: datetime) -> list[Any]:
    """Name, ready, age; containers, images."""
    spec, status = obj["spec"], obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [obj["metadata"]["name"], ready, age(obj, now), *containers(spec["template"]["spec"])]


def controller_revision(obj: Object, now: datetime) -> list[Any]:
    """Name, controller, revision, age."""
    owner = next((one for one in obj["metadata"].get("ownerReferences") or () if one.get("controller")), None)
    return [obj["metadata"]["name"], _owner(owner), obj.get("revision", 0), age(obj, now)]


def _owner(owner: Object | None) -> str:
    """`deployment.apps/web`."""
    if owner is None:
        return NONE
    group = owner["apiVersion"].rpartition("/")[0]
    kind = owner["kind"].lower()
    return f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"


def job(obj: Object, now: datetime) -> list[Any]:
    """Name, status, completions, duration, age; containers, images, selector."""
    spec, status = obj["spec"], obj.get("status") or {}
    head = [obj["metadata"]["name"], _job_status(obj), _completions(spec, status), _job_duration(status, now)]
    return [*head, age(obj, now), *containers(spec["template"]["spec"]), selector(spec.get("selector"))]


def _job_status(obj: Object) -> str:
    """The condition that matters most."""
    status = obj.get("status") or {}
    met = {one["type"] for one in status.get("conditions") or () if one.get("status") == "True"}
    for condition, shown in (("Complete", "Complete"), ("Failed", "Failed")):
        if condition in met:
            return shown
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    for condition in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if condition in met:
            return condition
    return "Running"


def _completions(spec: Object, status: Object) -> str:
    done = status.get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{done}/{spec['completions']}"
    parallel = spec.get("parallelism") or 0
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _job_duration(status: Object, now: datetime) -> str:
    began = timestamps.parse_optional(status.get("startTime"))
    if began is None:
        return ""
    ended = timestamps.parse_optional(status.get("completionTime")) or now
    return duration((ended - began).total_seconds())


def cron_job(obj: Object, now: datetime) -> list[Any]:
    """Name, schedule, time zone, suspended, active, last schedule, age; containers, images, selector."""
    spec, status = obj["spec"], obj.get("status") or {}
    suspended = UNSET if spec.get("suspend") is None else str(bool(spec["suspend"]))
    last = since(status["lastScheduleTime"], now) if status.get("lastScheduleTime") else NONE
    shown = [spec["schedule"], spec.get("timeZone") or NONE, suspended, len(status.get("active") or ()), last]
    template = spec["jobTemplate"]["spec"]
    pod = containers(template["template"]["spec"])
    return [obj["metadata"]["name"], *shown, age(obj, now), *pod, selector(template.get("selector"))]


def disruption_budget(obj: Object, now: datetime) -> list[Any]:
    """Name, least available, most unavailable, allowed, age."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    bounds = [str(spec[name]) if spec.get(name) is not None else "N/A" for name in ("minAvailable", "maxUnavailable")]
    return [obj["metadata"]["name"], *bounds, status.get("disruptionsAllowed", 0), age(obj, now)]


def scale(obj: Object, now: datetime) -> list[Any]:
    """Name, desired, available, age."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [obj["metadata"]["name"], spec.get("replicas", 0), status.get("replicas", 0), age(obj, now)]


def autoscaler(obj: Object, now: datetime) -> list[Any]:
    """Name, reference, targets, bounds, replicas, age. The object is in version v2."""
    spec, status = obj["spec"], obj.get("status") or {}
    target = f"{spec['scaleTargetRef']['kind']}/{spec['scaleTargetRef']['name']}"
    low = str(spec["minReplicas"]) if spec.get("minReplicas") is not None else UNSET
    metrics = _metrics(spec.get("metrics") or (), status.get("currentMetrics") or ())
    counts = [low, spec.get("maxReplicas", 0), status.get("currentReplicas", 0)]
    return [obj["metadata"]["name"], target, metrics, *counts, age(obj, now)]


#: Metrics shown before the rest is counted.
_SHOWN = 2
#: What Go prints for a quantity that is not there.
_NIL = "<nil>"
_FIELDS = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}


def _metrics(wanted: Any, current: Any) -> str:
    found = [_metric(one, current[number] if number < len(current) else {}) for number, one in enumerate(wanted)]
    if not found:
        return NONE
    more = len(found) - _SHOWN
    return ", ".join(found[:_SHOWN]) + (f" + {more} more..." if more > 0 else "")


def _metric(one: Object, current: Object) -> str:
    field = _FIELDS.get(one["type"])
    if field is None:
        return "<unknown type>"
    source, measured = one.get(field) or {}, current.get(field)
    now = None if measured is None else measured.get("current") or {}
    target = source.get("target") or {}
    if field in ("resource", "containerResource"):
        return f"{source['name']}: {_usage(target, now)}"
    if field == "pods":
        return f"{_quantity(now, 'averageValue')}/{target.get('averageValue', _NIL)}"
    if "averageValue" in target:
        return f"{(now or {}).get('averageValue', UNKNOWN)}/{target['averageValue']} (avg)"
    return f"{_quantity(now, 'value')}/{target.get('value', _NIL)}"


def _usage(target: Object, now: Object | None) -> str:
    """Of a resource: an average amount, or a share of what is requested."""
    if "averageValue" in target:
        return f"{_quantity(now, 'averageValue')}/{target['averageValue']}"
    used, wanted = (now or {}).get("averageUtilization"), target.get("averageUtilization")
    return f"{UNKNOWN if used is None else f'{used}%'}/{'<auto>' if wanted is None else f'{wanted}%'}"


def _quantity(now: Object | None, name: str) -> str:
    """A measured amount; one that a measurement lacks shows as Go prints it."""
    return UNKNOWN if now is None else str(now.get(name, _NIL))
