"""ReplicaSets: see `replicas.reconcile`."""

from __future__ import annotations

from knarr.api.registry import REPLICASETS
from knarr.controller.replicas.reconcile import controller

CONTROLLER = controller(REPLICASETS, "replicaset-controller")
