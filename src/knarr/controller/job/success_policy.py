"""`spec.successPolicy`: when an indexed Job has done enough before all its indexes are done.

Source of the rules: KEP-3998.
"""

from __future__ import annotations

from knarr.apimachinery.types import Object
from knarr.controller.job import intervals
from knarr.controller.job.intervals import Intervals


def met_rule(job: Object, succeeded: Intervals) -> int | None:
    """The number of the first rule that is met, or None."""
    if not succeeded:
        return None
    rules = (job["spec"].get("successPolicy") or {}).get("rules") or ()
    completions = job["spec"].get("completions") or 0
    return next((at for at, rule in enumerate(rules) if _is_met(rule, succeeded, completions)), None)


def _is_met(rule: Object, succeeded: Intervals, completions: int) -> bool:
    least = rule.get("succeededCount")
    if rule.get("succeededIndexes") is None:
        return least is not None and intervals.total(succeeded) >= least
    wanted = intervals.parse(rule["succeededIndexes"], completions)
    if not wanted:
        return False
    done = intervals.common(wanted, succeeded)
    return done == intervals.total(wanted) or (least is not None and done >= least)
