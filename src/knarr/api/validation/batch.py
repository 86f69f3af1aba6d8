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
_FIXED = ("selector", "completionMode", "backoffLimitPerIndex", "managedBy")
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
    check_success_policy(errors, spec, path)
    check_failure_policy(errors, spec, path)
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
    if failed is None:
        if (completions or 0) > _MAX_INDEXED and spec.get("backoffLimitPerIndex") is not None:
            errors.append(field.required(here, f"must be specified when completions is above {_MAX_INDEXED}"))
        return
    if completions is not None and failed > completions:
        errors.append(field.invalid(here, failed, "must be less than or equal to completions"))
    if failed > _MAX_INDEXED:
        errors.append(field.invalid(here, failed, f"must be less than or equal to {_MAX_INDEXED}"))
    if (completions or 0) > _MAX_INDEXED:
        if (parallelism or 0) > 10000:
            errors.append(field.invalid(f"{path}.parallelism", parallelism, _MANY))
        if failed > 10000:
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
    for name in _FIXED:
        immutable(errors, f"spec.{name}", spec.get(name), before.get(name))
    for name, kind in (("podFailurePolicy", "PodFailurePolicy"), ("successPolicy", "SuccessPolicy")):
        immutable(
            errors, f"spec.{name}", spec.get(name), before.get(name), internal(f"batch.v1.{kind}", spec.get(name))
        )
    _check_template_kept(errors, spec, before, old.get("status") or {})


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
    if before.get("suspend") and not status.get("startTime"):
        # A Job that has not begun may still be directed to other nodes.
        template = {**template, "metadata": had.get("metadata"), "spec": {**(template.get("spec") or {})}}
        template = {key: value for key, value in template.items() if value is not None}
        for name in ("nodeSelector", "tolerations", "affinity", "schedulingGates"):
            template["spec"].pop(name, None)
            if name in (had.get("spec") or {}):
                template["spec"][name] = had["spec"][name]
        if template != had:
            shown = internal("core.v1.PodSpec", (spec.get("template") or {}).get("spec") or {})
            errors.append(field.invalid("spec.template.spec", shown, "field is immutable"))
    elif template != had:
        shown = internal("core.v1.PodTemplateSpec", spec.get("template") or {})
        errors.append(field.invalid("spec.template", shown, "field is immutable"))


def _job_status(errors: Errors, obj: Object, old: Object) -> None:
    status, before = obj.get("status") or {}, old.get("status") or {}
    for name in ("active", "succeeded", "failed"):
        not_negative(errors, f"status.{name}", status.get(name, 0))
    not_negative(errors, "status.ready", status.get("ready"))
    not_negative(errors, "status.terminating", status.get("terminating"))
    finished = [c.get("type") for c in items(status, "conditions") if c.get("status") == "True"]
    if "Complete" in finished and "Failed" in finished:
        wrong = "cannot set Complete=True and Failed=true conditions"
        errors.append(field.invalid("status.conditions", list(items(status, "conditions")), wrong))
    done = "Complete" in finished or "Failed" in finished
    if done and status.get("active"):
        errors.append(field.invalid("status.active", status["active"], "active>0 is invalid for finished job"))
    if done and not status.get("startTime") and before.get("startTime"):
        errors.append(field.required("status.startTime", "startTime cannot be removed for unsuspended job"))
    if status.get("completionTime") and "Complete" not in finished:
        wrong = "completionTime cannot be set when there is no Complete=True condition"
        errors.append(field.invalid("status.completionTime", status["completionTime"], wrong))


def _create_cron_job(errors: Errors, obj: Object) -> None:
    _check_cron_job(errors, obj.get("spec") or {})
    name = (obj.get("metadata") or {}).get("name", "")
    if len(name) > 52:
        errors.append(field.invalid("metadata.name", name, "must be no more than 52 characters"))


def _check_cron_job(errors: Errors, spec: Object) -> None:
    schedule = spec.get("schedule", "")
    if not schedule:
        errors.append(field.required("spec.schedule"))
    else:
        wrong = cron.problem(_without_zone(schedule))
        if wrong:
            errors.append(field.invalid("spec.schedule", schedule, wrong))
        if "TZ" in schedule:
            wrong = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            errors.append(field.invalid("spec.schedule", schedule, wrong))
    not_negative(errors, "spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    _check_zone(errors, spec.get("timeZone"))
    policy = spec.get("concurrencyPolicy", "")
    required_one_of(errors, "spec.concurrencyPolicy", policy, ("Allow", "Forbid", "Replace"))
    for name in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        not_negative(errors, f"spec.{name}", spec.get(name))
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    check_spec(errors, job, "spec.jobTemplate.spec")
    if job.get("manualSelector"):
        path = "spec.jobTemplate.spec.manualSelector"
        errors.append(field.not_supported(path, True, ("nil", "false")))


def _without_zone(schedule: str) -> str:
    first, _, rest = schedule.partition(" ")
    return rest if first.startswith(("TZ=", "CRON_TZ=")) else schedule


def _check_zone(errors: Errors, zone: str | None) -> None:
    if zone is None:
        return
    path = "spec.timeZone"
    if not zone:
        errors.append(field.invalid(path, zone, "timeZone must be nil or non-empty string"))
    elif zone.lower() == "local":
        wrong = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errors.append(field.invalid(path, zone, wrong))
    elif not _known_zone(zone):
        errors.append(field.invalid(path, zone, f"unknown time zone {zone}"))


def _known_zone(zone: str) -> bool:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - for CronJobs with a zone alone

    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _update_cron_job(errors: Errors, obj: Object, old: Object) -> None:
    _check_cron_job(errors, obj.get("spec") or {})


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


JOBS = Kind(_create_job, _update_job, {"status": _job_status}, warnings=_warn_job, meta=_meta)
CRONJOBS = Kind(_create_cron_job, _update_cron_job, warnings=_warn_cron_job)
