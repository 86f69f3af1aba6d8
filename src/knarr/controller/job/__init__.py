"""Jobs: pods of a template that run to completion, each counted exactly once."""

from knarr.controller.job.controller import CONTROLLER, reconcile

__all__ = ["CONTROLLER", "reconcile"]
