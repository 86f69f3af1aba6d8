"""What a component asks of the API server (`rest_client_…`).

Source: k8s.io/component-base/metrics/prometheus/restclient.
"""

from __future__ import annotations

from time import perf_counter

from knarr.component_base.metrics import About, Counter, Family, Histogram

_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
#: The code of a request that was not answered.
NO_ANSWER = "<error>"


class ClientMetrics:
    """Requests by code and method, and how long answers take to begin."""

    def __init__(self) -> None:
        self._requests = Counter(
            About(
                "rest_client_requests_total",
                "Number of HTTP requests, partitioned by status code, method, and host.",
                ("code", "method", "host"),
            )
        )
        self._latency = Histogram(
            About(
                "rest_client_request_duration_seconds",
                "Request latency in seconds. Broken down by verb, and host.",
                ("verb", "host"),
            ),
            _BUCKETS,
        )

    def answered(self, method: str, host: str, code: str, began: float) -> None:
        """A request that began then (`perf_counter`) was answered, or was not (`NO_ANSWER`)."""
        self._requests.add((code, method, host))
        self._latency.observe(perf_counter() - began, (method, host))

    def families(self) -> list[Family]:
        """What `/metrics` shows."""
        return [self._requests, self._latency]
