"""Options of scaling by load: the built-in metrics API, and kube-controller-manager's of HorizontalPodAutoscalers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from knarr.apimachinery import durations

if TYPE_CHECKING:
    # Loaded with the controllers, not with the flags.
    from knarr.controller.podautoscaler import Settings

#: What is built in beside Kubernetes itself and may be left out, as K3s calls it.
PACKAGED = ("metrics-server", "local-storage")
_AUTOSCALER = "--horizontal-pod-autoscaler-"
#: kube-controller-manager's flags: name, default in seconds, help.
_PERIODS = (
    ("sync-period", 15.0, "how often autoscalers look"),
    ("downscale-stabilization", 300.0, "how long a larger size is kept, unless its behavior says so"),
    ("cpu-initialization-period", 300.0, "how long a pod's CPU may be that of its start"),
    ("initial-readiness-delay", 30.0, "how long a pod may be ready now and then before it counts"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add = parser.add_argument_group("scaling by load").add_argument
    add("--disable", action="append", default=[], choices=PACKAGED, help="what not to run (may be repeated)")
    add("--metric-resolution", type=_period, default=15.0, help="how often kubelets are asked what is used")
    for name, default, text in _PERIODS:
        add(_AUTOSCALER + name, type=_period, default=default, help=f"{text} (default: {default:.0f}s)")
    add(f"{_AUTOSCALER}tolerance", type=float, default=0.1, help="by what part of the target use may differ from it")


def settings(arguments: argparse.Namespace) -> Settings:
    """The settings of autoscalers."""
    from knarr.controller.podautoscaler import Settings

    def given(name: str) -> float:
        return float(getattr(arguments, f"horizontal_pod_autoscaler_{name}"))

    return Settings(
        sync_period=given("sync_period"),
        downscale_stabilization=given("downscale_stabilization"),
        cpu_initialization=given("cpu_initialization_period"),
        initial_readiness=given("initial_readiness_delay"),
        tolerance=given("tolerance"),
    )


def _period(text: str) -> float:
    """Seconds of a duration. Raises `ValueError` for one that is not positive."""
    seconds = durations.parse(text)
    if seconds <= 0:
        raise ValueError(f"{text!r} is no time to wait")
    return seconds
