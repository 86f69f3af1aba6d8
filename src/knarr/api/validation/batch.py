"""Jobs and CronJobs."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.validation import cron, names
from knarr.api.validation.checks import (
    Errors,
    immutable,
    items,
    not_negative,
    one_of,
    required_one_of,
    sorted_map,
    texts,
)
from knarr.api.validation.go_values import internal
from knarr.api.validation.job_policies import check_failure_policy, check_success_policy
from knarr.api.validation.job_status import check_status
from knarr.api.validation.kind import Kind
from knarr.api.validation.pod.spec import check_template
from knarr.api.validation.pod.warnings import template_name_warnings, template_warnings
from knarr.api.validation.selectors import check_label_selector
from knarr.apimachinery import field, labels
from knarr.apimachinery.types import Object

_COUNTS = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
_MAX_INDEXED = 100000
_MANY = "must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index"
_INDEXED_ONLY = "requires indexed completion mode"
_POLICIES = {"podFailurePolicy": "PodFailurePolicy", "successPolicy": "SuccessPolicy"}
_LABELS = (
    ("batch.kubernetes.io/controller-uid", "uid"),
    ("batch.kubernetes.io/job-name", "name"),
    ("controller-uid", "uid"),
    ("job-name", "name"),
)
_NO_MATCH = "`selector` does not match template `labels`"


def _create_job(errors: Errors, obj: Object) -> None:
    _check_generated(errors, obj, _LABELS)
    _check_job(errors, obj.get("spec") or {})


def _check_job(errors: Errors, spec: Object) -> None:
    check_spec(errors, spec, "spec")
    selector = spec.get("selector")
    if selector is None:
        errors.append(field.required("spec.selector"))
    before = len(errors)
    check_label_selector(errors, selector, "spec.selector")
    if len(errors) > before:
        return
    own = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if not labels.from_object(selector).matches(own):
        errors.append(field.invalid("spec.template.metadata.labels", sorted_map(own), _NO_MATCH))


def _check_generated(errors: Errors, obj: Object, wanted: Sequence[tuple[str, str]]) -> None:
    spec, meta = obj.get("spec") or {}, obj.get("metadata") or {}
    selector = spec.get("selector")
    if spec.get("manualSelector") or selector is None:
        return
    own = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    expected = {key: meta.get(source, "") for key, source in wanted}
    for key, value in expected.items():
        path = f"spec.template.metadata.labels[{key}]"
        if key not in own:
            errors.append(field.required(path, f"must be '{value}'"))
        elif own[key] != value:
            errors.append(field.invalid(path, own, f"must be '{value}'"))
    try:
        parsed = labels.from_object(selector)
    except ValueError:
        return
    if not parsed.matches(expected):
        errors.append(field.invalid("spec.selector", selector, "`selector` not auto-generated"))


def check_spec(errors: Errors, spec: Object, path: str) -> None:
    """A Job's spec, or that of a CronJob's template; its selector aside."""
    for name in _COUNTS:
        not_negative(errors, f"{path}.{name}", spec.get(name))
    not_negative(errors, f"{path}.backoffLimitPerIndex", spec.get("backoffLimitPerIndex"))
    if spec.get("maxFailedIndexes") is not None:
        not_negative(errors, f"{path}.maxFailedIndexes", spec["maxFailedIndexes"])
        if spec.get("backoffLimitPerIndex") is None:
            errors.append(field.required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    _check_manager(errors, spec, path)
    _check_mode(errors, spec, path)
    check_failure_policy(errors, spec, path)
    check_success_policy(errors, spec, path)
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None:
        known = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
        one_of(errors, f"{path}.podReplacementPolicy", replacement, known)
    _check_pods(errors, spec, f"{path}.template")


def _check_manager(errors: Errors, spec: Object, path: str) -> None:
    manager = spec.get("managedBy")
    if manager is None:
        return
    here = f"{path}.managedBy"
    if not manager:
        errors.append(field.required(here))
        return
    texts(errors, here, manager, names.domain_prefixed_path(manager))
    if len(manager.encode()) > 63:
        errors.append(field.too_long(here, 63))


def _check_mode(errors: Errors, spec: Object, path: str) -> None:
    mode = spec.get("completionMode")
    if mode is not None and mode not in ("NonIndexed", "Indexed"):
        errors.append(field.not_supported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed")))
    if mode == "Indexed":
        _check_indexed(errors, spec, path)
    if mode not in (None, "NonIndexed"):
        return
    for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if spec.get(name) is not None:
            errors.append(field.invalid(f"{path}.{name}", spec[name], _INDEXED_ONLY))


def _check_indexed(errors: Errors, spec: Object, path: str) -> None:
    completions, parallelism, failed = (spec.get(name) for name in ("completions", "parallelism", "maxFailedIndexes"))
    if completions is None:
        errors.append(field.required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > _MAX_INDEXED:
        wrong = f"must be less than or equal to {_MAX_INDEXED} when completion mode is Indexed"
        errors.append(field.invalid(f"{path}.parallelism", parallelism, wrong))
    here = f"{path}.maxFailedIndexes"
    if completions is not None and failed is not None and failed > completions:
        errors.append(field.invalid(here, failed, "must be less than or equal to completions"))
    if failed is not None and failed > _MAX_INDEXED:
        errors.append(field.invalid(here, failed, f"must be less than or equal to {_MAX_INDEXED}"))
    if (completions or 0) <= _MAX_INDEXED or spec.get("backoffLimitPerIndex") is None:
        return
    if failed is None:
        errors.append(field.required(here, f"must be specified when completions is above {_MAX_INDEXED}"))
    if (parallelism or 0) > 10000:
        errors.append(field.invalid(f"{path}.parallelism", parallelism, _MANY))
    if (failed or 0) > 10000:
        errors.append(field.invalid(here, failed, _MANY))


def _check_pods(errors: Errors, spec: Object, path: str) -> None:
    template = spec.get("template") or {}
    check_template(errors, template, path)
    policy = (template.get("spec") or {}).get("restartPolicy", "")
    here = f"{path}.spec.restartPolicy"
    if not policy or policy == "Always":
        errors.append(field.required(here, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        errors.append(field.not_supported(here, policy, ("OnFailure", "Never")))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        wrong = 'only "Never" is supported when podFailurePolicy is specified'
        errors.append(field.invalid(here, policy, wrong))


def _update_job(errors: Errors, obj: Object, old: Object) -> None:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    # Kubernetes judges the new Job as one to create, and once more as a change.
    had = ((before.get("template") or {}).get("metadata") or {}).get("labels") or {}
    _check_generated(errors, obj, _LABELS if _LABELS[0][0] in had else _LABELS[2:])
    _check_job(errors, spec)
    _check_job(errors, spec)
    _check_completions(errors, spec, before)
    _keep(errors, spec, before, "selector")
    _check_template_kept(errors, spec, before, old.get("status") or {})
    for name in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        _keep(errors, spec, before, name)


def _keep(errors: Errors, spec: Object, before: Object, name: str) -> None:
    """A field that never changes."""
    given = spec.get(name)
    shown = internal(f"batch.v1.{_POLICIES[name]}", given) if name in _POLICIES else given
    immutable(errors, f"spec.{name}", given, before.get(name), shown)


def _check_completions(errors: Errors, spec: Object, before: Object) -> None:
    new, old = spec.get("completions"), before.get("completions")
    if new == old:
        return
    if before.get("completionMode") != "Indexed":
        errors.append(field.invalid("spec.completions", new, "field is immutable"))
    elif new is None:
        errors.append(field.required("spec.completions", "when completion mode is Indexed"))
    elif new != spec.get("parallelism") or old != before.get("parallelism"):
        wrong = "can only be modified in tandem with spec.parallelism"
        errors.append(field.invalid("spec.completions", new, wrong))


def _check_template_kept(errors: Errors, spec: Object, before: Object, status: Object) -> None:
    template, had = spec.get("template") or {}, before.get("template") or {}
    if before.get("suspend") and _is_idle(status):
        # A Job that has not begun, or whose pods are gone, may still be directed to other nodes.
        template = _with_directions(template, had)
        if template != had:
            shown = internal("core.v1.PodSpec", (spec.get("template") or {}).get("spec") or {})
            errors.append(field.invalid("spec.template.spec", shown, "field is immutable"))
    elif template != had:
        shown = internal("core.v1.PodTemplateSpec", spec.get("template") or {})
        errors.append(field.invalid("spec.template", shown, "field is immutable"))


def _is_idle(status: Object) -> bool:
    """Whether a suspended Job has no pods: it never had any, or has given them up."""
    suspended = any(c.get("type") == "Suspended" and c.get("status") == "True" for c in items(status, "conditions"))
    return not status.get("active") and (not status.get("startTime") or suspended)


def _with_directions(template: Object, had: Object) -> Object:
    """The template with what may change before a Job begins as it was: where pods go, and what they use."""
    spec, before = {**(template.get("spec") or {})}, had.get("spec") or {}
    for name in ("nodeSelector", "tolerations", "schedulingGates"):
        _as_before(spec, before, name)
    affinity = {key: value for key, value in (spec.get("affinity") or {}).items() if key != "nodeAffinity"}
    if affinity == {key: value for key, value in (before.get("affinity") or {}).items() if key != "nodeAffinity"}:
        _as_before(spec, before, "affinity")
    for kind in ("containers", "initContainers"):
        now, then = items(spec, kind), items(before, kind)
        if [container.get("name") for container in now] == [container.get("name") for container in then]:
            spec[kind] = [{**new, "resources": old.get("resources")} for new, old in zip(now, then, strict=True)]
            spec[kind] = [{key: item for key, item in new.items() if item is not None} for new in spec[kind]]
            if not now:
                _as_before(spec, before, kind)
    kept = {**template, "metadata": had.get("metadata"), "spec": spec}
    return {key: value for key, value in kept.items() if value is not None}


def _as_before(spec: Object, before: Object, name: str) -> None:
    spec.pop(name, None)
    if name in before:
        spec[name] = before[name]


def _create_cron_job(errors: Errors, obj: Object) -> None:
    _check_cron_job(errors, obj.get("spec") or {})
    name = (obj.get("metadata") or {}).get("name", "")
    if len(name) > 52:
        errors.append(field.invalid("metadata.name", name, "must be no more than 52 characters"))


def _check_cron_job(errors: Errors, spec: Object, before: Object | None = None) -> None:
    schedule, zone = spec.get("schedule", ""), spec.get("timeZone")
    if not schedule:
        errors.append(field.required("spec.schedule"))
    else:
        _check_schedule(errors, schedule, zone, zoned="TZ" in (before or {}).get("schedule", ""))
    not_negative(errors, "spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    if before is None or before.get("timeZone") != zone:
        _check_zone(errors, zone)
    policy = spec.get("concurrencyPolicy", "")
    required_one_of(errors, "spec.concurrencyPolicy", policy, ("Allow", "Forbid", "Replace"))
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    check_spec(errors, job, "spec.jobTemplate.spec")
    if job.get("selector") is not None:
        path = "spec.jobTemplate.spec.selector"
        errors.append(field.invalid(path, job["selector"], "`selector` will be auto-generated"))
    if job.get("manualSelector"):
        path = "spec.jobTemplate.spec.manualSelector"
        errors.append(field.not_supported(path, True, ("nil", "false")))
    for name in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        not_negative(errors, f"spec.{name}", spec.get(name))


def _check_schedule(errors: Errors, schedule: str, zone: str | None, *, zoned: bool) -> None:
    """A cron expression; `zoned`: the stored one names a time zone, so that it may go on doing so."""
    wrong = cron.problem(_without_zone(schedule))
    if wrong:
        errors.append(field.invalid("spec.schedule", schedule, wrong))
    if "TZ" not in schedule:
        return
    if not zoned:
        wrong = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(field.invalid("spec.schedule", schedule, wrong))
    elif zone is not None:
        wrong = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        errors.append(field.invalid("spec.schedule", schedule, wrong))


def _without_zone(schedule: str) -> str:
    first, _, rest = schedule.partition(" ")
    return rest if first.startswith(("TZ=", "CRON_TZ=")) else schedule


def _check_zone(errors: Errors, zone: str | None) -> None:
    if zone is None:
        return
    path = "spec.timeZone"
    if not zone:
        errors.append(field.invalid(path, zone, "timeZone must be nil or non-empty string"))
        return
    if zone.lower() == "local":
        wrong = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errors.append(field.invalid(path, zone, wrong))
    if zone != "Local" and not _known_zone(zone):
        errors.append(field.invalid(path, zone, f"unknown time zone {zone}"))


def _known_zone(zone: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _update_cron_job(errors: Errors, obj: Object, old: Object) -> None:
    _check_cron_job(errors, obj.get("spec") or {}, old.get("spec") or {})


def _warn_job(obj: Object, old: Object | None) -> list[str]:
    spec, out = obj.get("spec") or {}, template_name_warnings(obj, old)
    completions, parallelism = spec.get("completions") or 0, spec.get("parallelism") or 0
    if spec.get("completionMode") == "Indexed" and completions > _MAX_INDEXED and parallelism > 10000:
        out.append(
            "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4,"
            " Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        )
    return [*out, *template_warnings(obj, old, "spec.template")]


def _warn_cron_job(obj: Object, old: Object | None) -> list[str]:
    out: list[str] = []
    name = (obj.get("metadata") or {}).get("name", "")
    wrong = names.dns_label(name) if old is None and name else ()
    if wrong:
        out.append(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior;"
            f" a DNS label is recommended: [{' '.join(wrong)}]"
        )
    return [*out, *template_warnings(obj, old, "spec.jobTemplate.spec.template")]


def _meta(obj: Object) -> Object:
    """The metadata without labels that come from the template: Kubernetes adds them when it reads the Job again."""
    meta: Object = obj.get("metadata") or {}
    own = ((obj.get("spec") or {}).get("template") or {}).get("metadata") or {}
    if "labels" in meta and meta["labels"] == own.get("labels"):
        generated = {key for key, _ in _LABELS}
        kept = {key: value for key, value in meta["labels"].items() if key not in generated}
        return {**meta, "labels": kept}
    return meta


JOBS = Kind(_create_job, _update_job, {"status": check_status}, warnings=_warn_job, meta=_meta)
CRONJOBS = Kind(_create_cron_job, _update_cron_job, warnings=_warn_cron_job)
