"""What is counted of admission webhooks, under Kubernetes' names."""

from __future__ import annotations

from knarr.component_base.metrics import STABLE, About, Counter, Histogram

_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0)
_CONDITION = ("name", "kind", "type", "operation")
#: Codes beyond are counted as this one: a webhook must not make up as many series as it likes.
_LARGEST_CODE = 600
CALLING_ERROR, SERVER_ERROR, NO_ERROR = "calling_webhook_error", "apiserver_internal_error", "no_error"


class WebhookMetrics:
    """Counters of calls, refusals and failures that were overlooked."""

    def __init__(self) -> None:
        self.latency = Histogram(
            About(
                "apiserver_admission_webhook_admission_duration_seconds",
                "Admission webhook latency histogram in seconds, identified by name and broken out for each operation "
                "and API resource and type (validate or admit).",
                ("name", "type", "operation", "rejected"),
                STABLE,
            ),
            _BUCKETS,
        )
        self.rejections = Counter(
            About(
                "apiserver_admission_webhook_rejection_count",
                "Admission webhook rejection count, identified by name and broken out for each admission type "
                "(validating or admit) and operation, with the kind of error and the rejection code.",
                ("name", "type", "operation", "error_type", "rejection_code"),
            )
        )
        self.fail_open = Counter(
            About(
                "apiserver_admission_webhook_fail_open_count",
                "Admission webhook fail open count, identified by name and broken out for each admission type "
                "(validating or admit).",
                ("name", "type"),
            )
        )
        self.requests = Counter(
            About(
                "apiserver_admission_webhook_request_total",
                "Admission webhook request total, identified by name and broken out for each admission type "
                "(validating or admit) and operation, with whether it was rejected and an HTTP status code.",
                ("name", "type", "operation", "code", "rejected"),
            )
        )

        self.condition_errors = Counter(
            About(
                "apiserver_admission_match_condition_evaluation_errors_total",
                "Admission match condition evaluation errors count, identified by name of resource containing the "
                "match condition and broken out for each kind containing matchConditions (webhook or policy), "
                "operation and admission type (validate or admit).",
                _CONDITION,
            )
        )
        self.exclusions = Counter(
            About(
                "apiserver_admission_match_condition_exclusions_total",
                "Admission match condition evaluation exclusions count, identified by name of resource containing the "
                "match condition and broken out for each kind containing matchConditions (webhook or policy), "
                "operation and admission type (validate or admit).",
                _CONDITION,
            )
        )

    @property
    def families(self) -> tuple[Histogram | Counter, ...]:
        """What is shown."""
        counters = self.rejections, self.fail_open, self.requests, self.condition_errors, self.exclusions
        return self.latency, *counters

    def called(self, key: tuple[str, str, str], seconds: float, code: int, *, rejected: bool) -> None:
        """A webhook was called. `key` is its name, the type of admission and the operation."""
        shown = "true" if rejected else "false"
        self.latency.observe(seconds, (*key, shown))
        self.requests.add((*key, _bounded(code), shown))

    def rejected(self, key: tuple[str, str, str], error_type: str, code: int) -> None:
        """A call led to a refusal."""
        self.rejections.add((*key, error_type, _bounded(code)))


def _bounded(code: int) -> str:
    return str(min(code, _LARGEST_CODE))
