"""CronJobs: Jobs at times of the day, week, month and year."""

from knarr.controller.cronjob.controller import CONTROLLER, reconcile

__all__ = ["CONTROLLER", "reconcile"]
