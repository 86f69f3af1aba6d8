"""What `/metrics` tells of the audit log.

Source: k8s.io/apiserver/pkg/audit/metrics.go.
"""

from __future__ import annotations

from knarr.component_base.metrics import About, Counter, Family


class AuditMetrics:
    """What became of audit events."""

    def __init__(self) -> None:
        self.events = Counter(
            About("apiserver_audit_event_total", "Counter of audit events generated and sent to the audit backend.", ())
        )
        self.errors = Counter(
            About(
                "apiserver_audit_error_total",
                "Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by "
                "the error.",
                ("plugin",),
            )
        )
        self.levels = Counter(
            About(
                "apiserver_audit_level_total", "Counter of policy levels for audit events (1 per request).", ("level",)
            )
        )
        self.families: tuple[Family, ...] = (self.events, self.errors, self.levels)
