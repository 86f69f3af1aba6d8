"""DaemonSets: one pod on every node that fits."""

from knarr.controller.daemonset.controller import controller

__all__ = ["controller"]
