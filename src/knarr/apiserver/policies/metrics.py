"""How often policies refused, warned or failed, and how long that took, under Kubernetes' names."""

from __future__ import annotations

from knarr.component_base.metrics import BETA, About, Counter, Family, Histogram

_BUCKETS = (0.0000005, 0.001, 0.01, 0.1, 1.0)
_LABELS = ("policy", "policy_binding", "error_type")


def error_type(message: str) -> str:
    """What kind of failure a message tells of."""
    if message.startswith("compilation"):
        return "compile_error"
    if message.startswith("validation failed due to running out of cost budget"):
        return "out_of_budget"
    return "invalid_error"


class PolicyMetrics:
    """Counters and durations; policies that let requests pass are not counted."""

    def __init__(self) -> None:
        self.validated = Counter(
            About(
                "apiserver_validating_admission_policy_check_total",
                "Validation admission policy check total, labeled by policy and further identified by binding and "
                "enforcement action taken.",
                (*_LABELS, "enforcement_action"),
                BETA,
            )
        )
        self.validating = Histogram(
            About(
                "apiserver_validating_admission_policy_check_duration_seconds",
                "Validation admission latency for individual validation expressions in seconds, labeled by policy and "
                "further including binding and enforcement action taken.",
                (*_LABELS, "enforcement_action"),
                BETA,
            ),
            _BUCKETS,
        )
        self.mutated = Counter(
            About(
                "apiserver_mutating_admission_policy_check_total",
                "Mutation admission policy check total, labeled by policy and further identified by binding.",
                _LABELS,
            )
        )
        self.mutating = Histogram(
            About(
                "apiserver_mutating_admission_policy_check_duration_seconds",
                "Mutation admission latency for individual mutation expressions in seconds, labeled by policy and "
                "binding.",
                _LABELS,
            ),
            _BUCKETS,
        )

    @property
    def families(self) -> tuple[Family, ...]:
        """What is shown."""
        return self.validated, self.validating, self.mutated, self.mutating

    def validation(self, names: tuple[str, str], message: str, action: str, seconds: float) -> None:
        """A rule of a policy and binding did not hold or could not be told, and this was done about it."""
        key = (*names, error_type(message), action)
        self.validated.add(key)
        self.validating.observe(seconds, key)

    def mutation(self, names: tuple[str, str], error: str, seconds: float) -> None:
        """A mutation of a policy and binding was made, or failed."""
        key = (*names, error_type(error) if error else "no_error")
        self.mutated.add(key)
        self.mutating.observe(seconds, key)
