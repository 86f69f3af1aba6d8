"""What simulated nodes and pods do unless somebody says otherwise: they come up, run, end and go at once."""

from __future__ import annotations

from knarr.simulation import paths
from knarr.simulation.stages import Next, NodeState, PodState, Requirement, Stage

_ENDING = Requirement(paths.parse(".metadata.deletionTimestamp"), "Exists")
_STAYS = Requirement(paths.parse(".metadata.deletionTimestamp"), "DoesNotExist")
_PENDING = Requirement(paths.parse(".status.phase"), "In", ("Pending",))
_RUNNING = Requirement(paths.parse(".status.phase"), "In", ("Running",))
_OF_A_JOB = Requirement(paths.parse(".metadata.ownerReferences[].kind"), "In", ("Job",))
_NOT_READY = Requirement(paths.parse(".status.conditions[type=Ready].status"), "In", ("False", "Unknown"))

_ENDED = Requirement(paths.parse(".status.phase"), "In", ("Succeeded", "Failed"))
_ALIVE = Requirement(paths.parse(".status.phase"), "In", ("Pending", "Running"))
_HELD = Requirement(paths.parse(".metadata.finalizers[]"), "Exists")
_FREE = Requirement(paths.parse(".metadata.finalizers[]"), "DoesNotExist")
_KILLED = PodState("Failed", ready=False, exit_code=143, reason="Error")

STAGES = (
    Stage("node-ready", "Node", Next(node=NodeState()), requirements=(_STAYS, _NOT_READY)),
    Stage("pod-running", "Pod", Next(pod=PodState()), requirements=(_STAYS, _PENDING)),
    Stage(
        "pod-complete", "Pod", Next(pod=PodState("Succeeded", ready=False)), requirements=(_STAYS, _RUNNING, _OF_A_JOB)
    ),
    # Who holds a pod by a finalizer, as Jobs do, wants to see how it ended; for others that write is saved.
    Stage("pod-killed", "Pod", Next(pod=_KILLED), requirements=(_ENDING, _HELD, _ALIVE)),
    Stage("pod-gone", "Pod", Next(delete=True), requirements=(_ENDING, _FREE)),
    Stage("pod-ended-gone", "Pod", Next(delete=True), requirements=(_ENDING, _HELD, _ENDED)),
)
