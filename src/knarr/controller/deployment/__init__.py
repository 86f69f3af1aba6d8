"""Deployments: replace pods of an old template by pods of a new one, step by step, through ReplicaSets."""

from knarr.controller.deployment.controller import CONTROLLER, reconcile

__all__ = ["CONTROLLER", "reconcile"]
