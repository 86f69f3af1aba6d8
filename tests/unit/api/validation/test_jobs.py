"""Jobs: what a status may become, and what may change before a Job begins."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api import codec, defaults, registry, validation
from knarr.apimachinery.types import Object

_JOBS = registry.resource("jobs", "batch")
_START, _END = "2024-05-01T10:00:00Z", "2024-05-01T11:00:00Z"


def _true(*names: str) -> list[Object]:
    return [{"type": name, "status": "True"} for name in names]


def _job(status: Object | None = None, **spec: Any) -> Object:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
    obj: Object = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "namespace": "ns", "uid": "u", "resourceVersion": "1"},
        "spec": {"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}, "template": template, **spec},
        "status": status or {},
    }
    found = codec.normalise("batch/v1", "Job", obj).object
    defaults.apply(_JOBS, found)
    return found


_DONE = {"startTime": _START, "completionTime": _END, "conditions": _true("SuccessCriteriaMet", "Complete")}


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ({"startTime": _START, "active": 1}, _DONE, []),
        ({"failed": 2}, {"failed": 1}, ["cannot decrease the failed counter"]),
        (_DONE, {"startTime": _START}, ["cannot disable the terminal Complete=True condition"]),
        ({}, {"startTime": _START, "conditions": _true("Failed")}, ["cannot set Failed=True condition without the"]),
        ({}, {"ready": 1}, ["cannot set more ready pods than active"]),
        ({}, {**_DONE, "active": 1}, ["active>0 is invalid for finished job"]),
        ({}, {"completedIndexes": "0"}, ["cannot set non-empty completedIndexes when non-indexed completion mode"]),
        ({"startTime": _START}, {}, ["startTime cannot be removed for unsuspended job"]),
        # What the change does not touch is not judged.
        ({"ready": 2}, {"ready": 2, "failed": 1}, []),
    ],
)
def test_a_status_counts_upwards_and_what_is_finished_stays_finished(
    old: Object, new: Object, wrong: list[str]
) -> None:
    found = validation.validate_update(_JOBS, _job(new), _job(old), "status")
    assert [error.detail[: len(text)] for error, text in zip(found, wrong, strict=False)] == wrong
    assert bool(found) == bool(wrong)


def test_a_job_that_has_not_begun_may_be_sent_elsewhere_but_not_run_something_else() -> None:
    old = _job(suspend=True)
    new = _job(suspend=True)
    new["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    new["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    assert validation.validate_update(_JOBS, new, old) == []
    new["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    assert [error.field for error in validation.validate_update(_JOBS, new, old)] == ["spec.template.spec"]
