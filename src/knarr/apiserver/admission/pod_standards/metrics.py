"""How often Pod Security decided what, under Kubernetes' names."""

from __future__ import annotations

from knarr.apiserver.admission.pod_standards.policy import LevelVersion
from knarr.apiserver.attributes import Attributes
from knarr.component_base.metrics import About, Counter

#: The newest version of the standards; labels may name one that is not there yet.
NEWEST = 36
_REQUEST = ("request_operation", "resource", "subresource")
_RESOURCES = {"pods": "pod", "namespaces": "namespace"}
_OPERATIONS = {"CREATE": "create", "UPDATE": "update"}


class PodSecurityMetrics:
    """Counters of evaluations, exemptions and errors."""

    def __init__(self) -> None:
        self.evaluations = Counter(
            About(
                "pod_security_evaluations_total",
                "Number of policy evaluations that occurred, not counting ignored or exempt requests.",
                ("decision", "mode", "policy_level", "policy_version", *_REQUEST),
            )
        )
        self.exemptions = Counter(
            About(
                "pod_security_exemptions_total",
                "Number of exempt requests, not counting ignored or out of scope requests.",
                _REQUEST,
            )
        )
        self.errors = Counter(
            About(
                "pod_security_errors_total",
                "Number of errors preventing normal evaluation. Non-fatal errors may result in the latest restricted "
                "profile being used for evaluation.",
                ("fatal", *_REQUEST),
            )
        )

    @property
    def families(self) -> tuple[Counter, Counter, Counter]:
        """What is shown."""
        return self.evaluations, self.exemptions, self.errors

    def evaluated(self, attributes: Attributes, mode: str, policy: LevelVersion, *, allowed: bool) -> None:
        """A write was held against a level and version."""
        if policy.minor is None:
            version = "latest"
        else:
            version = f"v1.{policy.minor}" if policy.minor <= NEWEST else "future"
        decision = "allow" if allowed else "deny"
        self.evaluations.add((decision, mode, policy.level, version, *_request(attributes)))

    def exempted(self, attributes: Attributes) -> None:
        """A write was exempt."""
        self.exemptions.add(_request(attributes))

    def failed(self, attributes: Attributes) -> None:
        """The labels of a namespace are wrong; the write was held against what could be read of them."""
        self.errors.add(("false", *_request(attributes)))


def _request(attributes: Attributes) -> tuple[str, str, str]:
    resource = _RESOURCES.get(attributes.resource.plural, "controller")
    return _OPERATIONS.get(attributes.operation, ""), resource, attributes.subresource
