"""Nodes whose kubelet is silent: what is said of them and of their pods, and whom they may drive out, how fast."""

from knarr.controller.node_lifecycle.controller import controller

__all__ = ["controller"]
