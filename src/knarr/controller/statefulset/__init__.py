"""StatefulSets: pods with names, claims and an order that stay, and rollouts that go down that order one by one."""

from knarr.controller.statefulset.controller import CONTROLLER, reconcile

__all__ = ["CONTROLLER", "reconcile"]
