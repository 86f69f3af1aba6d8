"""Disruption budgets: how many of their pods may be disrupted, and pods whose disruption did not come."""

from knarr.controller.disruption.controller import CONTROLLER, reconcile

__all__ = ["CONTROLLER", "reconcile"]
