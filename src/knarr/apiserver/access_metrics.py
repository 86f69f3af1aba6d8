"""What `/metrics` tells of authentication and authorization.

Source: k8s.io/apiserver/pkg/endpoints/filters/metrics.go.
"""

from __future__ import annotations

from bisect import bisect_left

from knarr.apiserver.authz.decision import Decision
from knarr.component_base.metrics import About, Counter, Family, Histogram, Looked, Sample

_SHORT = 0.001
_SECONDS = tuple(_SHORT * 2**power for power in range(15))
_KNOWN = frozenset({"admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default"})
_RESULT = ("result",)
SUCCESS, FAILURE, ERROR = "success", "failure", "error"


class _Results:
    """How often which result came, and after how long."""

    def __init__(self, count: About, seconds: About) -> None:
        self._durations = Histogram(seconds, _SECONDS)
        self._rows: dict[str, list[float]] = {}
        self.families: tuple[Family, ...] = (Looked(count, self._counted, "counter"), self._durations)

    def note(self, result: str, seconds: float) -> None:
        """Count one: every request comes by here."""
        row = self._rows.get(result)
        if row is None:
            row = self._rows[result] = self._durations.row((result,))
        row[0 if seconds < _SHORT else bisect_left(_SECONDS, seconds)] += 1
        row[-1] += seconds

    def _counted(self) -> list[Sample]:
        """How many there were, whatever they took."""
        return [((result,), sum(row[:-1])) for result, row in self._rows.items()]


class AccessMetrics:
    """Who was let in, and who might do what he asked for."""

    def __init__(self) -> None:
        self._users = Counter(
            About(
                "authenticated_user_requests",
                "Counter of authenticated requests broken out by username.",
                ("username",),
            )
        )
        self._authentication = _Results(
            About("authentication_attempts", "Counter of authenticated attempts.", _RESULT),
            About(
                "authentication_duration_seconds", "Authentication duration in seconds broken out by result.", _RESULT
            ),
        )
        self._authorization = _Results(
            About(
                "authorization_attempts_total",
                "Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', "
                "'no-opinion' or 'error'.",
                _RESULT,
            ),
            About("authorization_duration_seconds", "Authorization duration in seconds broken out by result.", _RESULT),
        )
        self.families: tuple[Family, ...] = (
            self._users,
            *self._authentication.families,
            *self._authorization.families,
        )

    def let_in(self, name: str, seconds: float) -> None:
        """Somebody is known (anonymous he may be)."""
        label = (name if name in _KNOWN else "email_id" if "@" in name else "other",)
        users = self._users.values
        users[label] = users.get(label, 0) + 1
        self._authentication.note(SUCCESS, seconds)

    def kept_out(self, seconds: float, *, credentials: bool) -> None:
        """Somebody has credentials that are not valid, or none where some are needed."""
        self._authentication.note(ERROR if credentials else FAILURE, seconds)

    def decided(self, decision: Decision, seconds: float) -> None:
        """It was decided whether he may."""
        if decision.allowed:
            result = "allowed"
        elif decision.error:
            result = ERROR
        else:
            result = "denied" if decision.denied else "no-opinion"
        self._authorization.note(result, seconds)
