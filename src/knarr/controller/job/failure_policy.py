"""`spec.podFailurePolicy`: what a failed pod means. The first rule that matches decides.

Source of the rules: KEP-3329, KEP-3850 (FailIndex).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from knarr.api.semantics import conditions
from knarr.apimachinery.types import Object


class Judgement(NamedTuple):
    """What is to be done about a failure.

    `action` is that of the rule that matched, empty where none did; `message` tells why the whole Job fails.
    """

    action: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure counts towards the limits."""
        return self.action != "Ignore"


_UNMATCHED = Judgement()


def judge(job: Object, pod: Object) -> Judgement:
    """What a Job's policy says to the failure of a pod."""
    rules: Sequence[Object] = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    for at, rule in enumerate(rules):
        found = _matched(rule, pod)
        if found is not None:
            why = f"{found} matching {rule['action']} rule at index {at}" if rule["action"] == "FailJob" else ""
            return Judgement(rule["action"], why)
    return _UNMATCHED


def _matched(rule: Object, pod: Object) -> str | None:
    """How a pod matches a rule, in words, or None."""
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    if rule.get("onExitCodes") is not None:
        found = _exit(rule["onExitCodes"], pod.get("status") or {})
        return f"Container {found[0]} for pod {name} failed with exit code {found[1]}" if found else None
    patterns: Sequence[Object] = rule.get("onPodConditions") or ()
    for condition in conditions.listed(pod):
        if any(_same(condition, pattern) for pattern in patterns):
            return f"Pod {name} has condition {condition['type']}"
    return None


def _same(condition: Object, pattern: Object) -> bool:
    return bool(
        condition.get("type") == pattern.get("type") and condition.get("status") == (pattern.get("status") or "True")
    )


def _exit(wanted: Object, status: Object) -> tuple[str, int] | None:
    """Name and exit code of the first container that ended as wanted."""
    for state in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        ended = (state.get("state") or {}).get("terminated")
        if ended is None or wanted.get("containerName") not in (None, state.get("name")):
            continue
        code = ended.get("exitCode", 0)
        if code and (code in (wanted.get("values") or ())) == (wanted.get("operator") == "In"):
            return str(state.get("name")), int(code)
    return None
