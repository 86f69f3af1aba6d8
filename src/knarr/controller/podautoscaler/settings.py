"""The settings of kube-controller-manager that concern autoscalers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from knarr.apimachinery import quantity
from knarr.apimachinery.types import Object


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds, but for `tolerance`: by what part use may differ from the target without anything being done."""

    sync_period: float = 15.0
    downscale_stabilization: float = 300.0
    cpu_initialization: float = 300.0
    initial_readiness: float = 30.0
    tolerance: float = 0.1


class Tolerances(NamedTuple):
    """By what part use may be below and above the target."""

    down: float
    up: float

    def allow(self, ratio: float) -> bool:
        """Whether use is near enough to the target; `ratio` is use by target."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


def tolerances(spec: Object, usual: float) -> Tolerances:
    """Those of an autoscaler: of its `behavior`, where that says so."""
    behavior = spec.get("behavior") or {}
    given = [(behavior.get(name) or {}).get("tolerance") for name in ("scaleDown", "scaleUp")]
    down, up = (usual if one is None else float(quantity.parse(one)) for one in given)
    return Tolerances(down, up)
