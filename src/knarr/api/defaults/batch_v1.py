"""Defaults of batch/v1."""

from __future__ import annotations

from typing import Any

from knarr.api.defaults import pods
from knarr.apimachinery.types import Object

_NO_LIMIT = (1 << 31) - 1


def job(obj: Object) -> None:
    """How many, how often, how to count; labels from the template."""
    spec = obj["spec"]
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    defaults: dict[str, Any] = {
        "backoffLimit": _NO_LIMIT if "backoffLimitPerIndex" in spec else 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed",
        "manualSelector": False,
    }
    for name, value in defaults.items():
        spec.setdefault(name, value)
    labels = spec["template"]["metadata"].get("labels")
    if labels:
        obj["metadata"]["labels"] = obj["metadata"].get("labels") or dict(labels)
    job_spec(spec)


def job_spec(spec: Object) -> None:
    """What the spec of a job gets wherever it stands."""
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions", ()):
            pattern["status"] = pattern.get("status") or "True"
    pods.template(spec["template"])


def cron_job(obj: Object) -> None:
    """Concurrency, suspension, history."""
    spec = obj["spec"]
    defaults: dict[str, Any] = {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }
    for name, value in defaults.items():
        spec.setdefault(name, value)
    job_spec(spec["jobTemplate"]["spec"])
