"""When a probe is due and what its results come to.

Input: a probe's spec, results, time. Output: delays in seconds and verdicts. A verdict is given when a threshold is
reached: for a probe of failures (`liveness`, `startup`) each time, for `readiness` when it changes.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from __future__ import annotations

from dataclasses import dataclass, field

from knarr.apimachinery.types import Object

KINDS = ("startup", "liveness", "readiness")


def wanted(container: Object, *, started: bool) -> tuple[str, ...]:
    """The probes that a running container is to have now: the others wait for the startup probe."""
    kinds = ("liveness", "readiness") if started else ("startup",)
    return tuple(kind for kind in kinds if container.get(f"{kind}Probe"))


@dataclass(frozen=True, slots=True)
class Timing:
    """A probe's numbers, with Kubernetes' defaults where the spec has none."""

    initial: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    successes: int = 1
    failures: int = 3

    @classmethod
    def of(cls, spec: Object) -> Timing:
        """The numbers of a probe's spec."""
        return cls(
            float(spec.get("initialDelaySeconds") or 0),
            float(spec.get("periodSeconds") or 10),
            float(spec.get("timeoutSeconds") or 1),
            int(spec.get("successThreshold") or 1),
            int(spec.get("failureThreshold") or 3),
        )

    def first_delay(self, age: float) -> float:
        """Seconds until the first probe of a container that has run for `age` seconds."""
        return max(self.initial - age, 0.0)


@dataclass(slots=True)
class Tally:
    """Counts results in a row. `held`: no more probes of this container."""

    kind: str
    timing: Timing
    last: bool | None = None
    row: int = 0
    verdict: bool | None = field(default=None)
    held: bool = False

    def take(self, *, success: bool) -> bool | None:
        """Count a result; gives the verdict it leads to, or None when nothing new is known."""
        self.row = self.row + 1 if success == self.last else 1
        self.last = success
        if self.row < (self.timing.successes if success else self.timing.failures):
            return None
        if self.kind != "readiness" and not success:
            # The container is going to be restarted; its successor is counted anew.
            self.held = True
        if self.kind == "startup" and success:
            self.held = True
        if success == self.verdict:
            return None
        self.verdict = success
        return success
