"""What the status of a Job may become: it counts upwards, and what is finished stays finished.

Most rules look only at fields that the change touches, so that a status that breaks one elsewhere can still be mended.
Source of the rules: pkg/apis/batch/validation and pkg/registry/batch/job/strategy.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from knarr.api.validation.checks import Errors, items, not_negative
from knarr.api.validation.go_values import internal
from knarr.api.validation.job_indexes import overlap, parse_indexes
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_TERMINAL = ("Failed", "Complete", "FailureTarget")


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two objects: its spec, its status, its true conditions."""

    spec: Object
    status: Object
    true: frozenset[str]

    @property
    def finished(self) -> bool:
        return not self.true.isdisjoint(("Complete", "Failed"))

    def count(self, name: str) -> int:
        return self.status.get(name) or 0


def _side(obj: Object) -> _Side:
    status = obj.get("status") or {}
    true = frozenset(c.get("type", "") for c in items(status, "conditions") if c.get("status") == "True")
    return _Side(obj.get("spec") or {}, status, true)


@dataclass(frozen=True, slots=True)
class _Change:
    new: _Side
    old: _Side

    def touches(self, *names: str) -> bool:
        """Whether one of the fields has changed."""
        return any(self.new.status.get(name) != self.old.status.get(name) for name in names)

    def turns(self, *conditions: str) -> bool:
        """Whether one of the conditions has become true or is so no more."""
        return any((name in self.new.true) != (name in self.old.true) for name in conditions)

    @property
    def finishes(self) -> bool:
        return self.new.finished != self.old.finished


def check_status(errors: Errors, obj: Object, old: Object) -> None:
    """A changed status."""
    change = _Change(_side(obj), _side(old))
    for name in ("active", "succeeded", "failed", "ready", "terminating"):
        not_negative(errors, f"status.{name}", change.new.status.get(name))
    _check_uncounted(errors, change.new.status.get("uncountedTerminatedPods") or {})
    for check in (_check_conditions, _check_completion, _check_criteria, _check_finished, _check_indexes, _check_pods):
        check(errors, change)
    _check_success(errors, change)
    _check_kept(errors, change)


def _condition(errors: Errors, sentence: str) -> None:
    errors.append(field.invalid("status.conditions", field.OMITTED, sentence))


def _check_uncounted(errors: Errors, uncounted: Object) -> None:
    seen: set[str] = set()
    for kind in ("succeeded", "failed"):
        for at, uid in enumerate(items(uncounted, kind)):
            path = f"status.uncountedTerminatedPods.{kind}[{at}]"
            if not uid:
                errors.append(field.invalid(path, uid, "must not be empty"))
            elif uid in seen:
                errors.append(field.duplicate(path, uid))
            seen.add(uid)


def _check_conditions(errors: Errors, change: _Change) -> None:
    true = change.new.true
    if change.turns("Complete", "Failed") and {"Complete", "Failed"} <= true:
        _condition(errors, "cannot set Complete=True and Failed=true conditions")
    if change.turns("Complete", "FailureTarget") and {"Complete", "FailureTarget"} <= true:
        _condition(errors, "cannot set Complete=True and FailureTarget=true conditions")


def _check_completion(errors: Errors, change: _Change) -> None:
    status, complete = change.new.status, "Complete" in change.new.true
    ended, began, path = status.get("completionTime"), status.get("startTime"), "status.completionTime"
    if change.turns("Complete") or change.touches("completionTime"):
        if ended and not complete:
            wrong = "cannot set completionTime when there is no Complete=True condition"
            errors.append(field.invalid(path, ended, wrong))
        if complete and not ended:
            errors.append(field.required(path, "completionTime is required for Complete jobs"))
    if change.touches("startTime", "completionTime") and began and ended and ended < began:
        errors.append(field.invalid(path, ended, "completionTime cannot be set before startTime"))


def _check_criteria(errors: Errors, change: _Change) -> None:
    true = change.new.true
    if change.turns("Failed", "FailureTarget") and "Failed" in true and "FailureTarget" not in true:
        _condition(errors, "cannot set Failed=True condition without the FailureTarget=true condition")
    if change.turns("Complete", "SuccessCriteriaMet") and "Complete" in true and "SuccessCriteriaMet" not in true:
        _condition(errors, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition")


def _check_finished(errors: Errors, change: _Change) -> None:
    new = change.new
    if not new.finished:
        return
    if (change.finishes or change.touches("active")) and new.count("active") > 0:
        errors.append(field.invalid("status.active", new.count("active"), "active>0 is invalid for finished job"))
    idle = new.spec.get("suspend") and new.spec.get("completions") == 0
    if (change.finishes or change.touches("startTime")) and not idle and not new.status.get("startTime"):
        errors.append(field.required("status.startTime", "startTime is required for finished job"))
    uncounted = new.status.get("uncountedTerminatedPods") or {}
    if (change.finishes or change.touches("uncountedTerminatedPods")) and any(uncounted.values()):
        shown = internal("batch.v1.UncountedTerminatedPods", uncounted)
        wrong = "uncountedTerminatedPods needs to be empty for finished job"
        errors.append(field.invalid("status.uncountedTerminatedPods", shown, wrong))


def _check_indexes(errors: Errors, change: _Change) -> None:
    spec, status = change.new.spec, change.new.status
    completions, per_index = spec.get("completions"), spec.get("backoffLimitPerIndex") is not None
    done, failed = status.get("completedIndexes", ""), status.get("failedIndexes")
    done_path, failed_path = "status.completedIndexes", "status.failedIndexes"
    touched, failed_touched = change.touches("completedIndexes"), change.touches("failedIndexes")
    if touched and completions is not None:
        _check_format(errors, done, completions, "completedIndexes")
    if failed_touched and completions is not None and per_index and failed is not None:
        _check_format(errors, failed, completions, "failedIndexes")
    if touched and done and spec.get("completionMode") != "Indexed":
        wrong = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.append(field.invalid(done_path, done, wrong))
    if failed_touched and not per_index and failed is not None:
        wrong = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        errors.append(field.invalid(failed_path, failed, wrong))
    if (touched or failed_touched) and completions is not None and failed is not None:
        at = overlap(done, failed, completions)
        if at is not None:
            wrong = f"failedIndexes and completedIndexes overlap at index: {at}"
            errors.append(field.invalid(failed_path, failed, wrong))


def _check_format(errors: Errors, text: str, completions: int, name: str) -> None:
    wrong = parse_indexes(text, completions)[1]
    if wrong:
        errors.append(field.invalid(f"status.{name}", text, f"error parsing {name}: {wrong}"))


def _check_pods(errors: Errors, change: _Change) -> None:
    new = change.new
    ending = new.count("terminating")
    if (change.finishes or change.touches("terminating")) and ending > 0 and new.finished:
        wrong = "terminating>0 is invalid for finished job"
        errors.append(field.invalid("status.terminating", ending, wrong))
    if change.touches("ready", "active") and new.count("ready") > new.count("active"):
        wrong = "cannot set more ready pods than active"
        errors.append(field.invalid("status.ready", new.count("ready"), wrong))


def _check_success(errors: Errors, change: _Change) -> None:
    true = change.new.true
    if "SuccessCriteriaMet" in true:
        for other in ("Failed", "FailureTarget"):
            if other in true:
                _condition(errors, f"cannot set SuccessCriteriaMet=True and {other}=true conditions")
    elif change.new.spec.get("successPolicy") is not None and "Complete" in true:
        _condition(errors, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True")


def _check_kept(errors: Errors, change: _Change) -> None:
    new, old = change.new, change.old
    for name in _TERMINAL:
        if name in old.true and name not in new.true:
            _condition(errors, f"cannot disable the terminal {name}=True condition")
    for name in _counters(new.spec):
        if new.count(name) < old.count(name):
            errors.append(field.invalid(f"status.{name}", new.count(name), f"cannot decrease the {name} counter"))
    times: tuple[Any, Any] = (new.status.get("completionTime"), old.status.get("completionTime"))
    if all(times) and times[0] != times[1]:
        errors.append(field.invalid("status.completionTime", times[0], "completionTime cannot be mutated"))
    if old.status.get("startTime") and change.touches("startTime") and not new.spec.get("suspend"):
        errors.append(field.required("status.startTime", "startTime cannot be removed for unsuspended job"))
    if "SuccessCriteriaMet" in old.true and "SuccessCriteriaMet" not in new.true:
        _condition(errors, "cannot disable the SuccessCriteriaMet=True condition")
    if "Complete" in old.true and "SuccessCriteriaMet" in new.true - old.true:
        _condition(errors, "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions")


def _counters(spec: Object) -> Iterator[str]:
    """What may not decrease: an indexed Job that is scaled down has fewer successes."""
    yield "failed"
    if spec.get("completionMode") != "Indexed" or spec.get("completions") != spec.get("parallelism"):
        yield "succeeded"
