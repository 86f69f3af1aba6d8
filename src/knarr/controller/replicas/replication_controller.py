"""ReplicationControllers, the elder form of ReplicaSets: see `replicas.reconcile`."""

from __future__ import annotations

from knarr.api.registry import REPLICATIONCONTROLLERS
from knarr.controller.replicas.reconcile import controller

CONTROLLER = controller(REPLICATIONCONTROLLERS, "replication-controller")
