"""Which pods are missing on nodes and which are too many, whatever template they were made of."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.semantics import pod_state
from knarr.apimachinery.types import Object
from knarr.controller.daemonset import bounds
from knarr.controller.daemonset.draft import Draft
from knarr.controller.daemonset.failures import Failures, Place
from knarr.controller_runtime.changes import EventNote


def manage(draft: Draft, failures: Failures) -> None:
    """Fill in what every node needs."""
    surging = bounds.allows_surge(draft.daemon_set)
    for node, fit in draft.fits.items():
        pods = draft.pods.get(node)
        if fit.run and pods is None:
            draft.wanted.append(node)
        elif fit.stay and pods:
            running = _running(draft, node, pods, failures)
            if not surging:
                _keep_oldest(draft, running)
            elif running:
                _keep_old_and_new(draft, running)
            elif fit.run:
                draft.wanted.append(node)
        else:
            _give_up(draft, pods or ())
    for node, pods in draft.pods.items():
        if node not in draft.fits:
            # Of a node that is gone: nobody will ever run these.
            _give_up(draft, [pod for pod in pods if not pod["spec"].get("nodeName")])


def _give_up(draft: Draft, pods: Sequence[Object]) -> None:
    for pod in pods:
        if not pod["metadata"].get("deletionTimestamp"):
            draft.doom(pod)


def _running(draft: Draft, node: str, pods: Sequence[Object], failures: Failures) -> list[Object]:
    """The pods that run or will; those that have ended are given up."""
    running = []
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp"):
            continue
        if not pod_state.is_terminal(pod):
            running.append(pod)
        elif pod_state.phase(pod) == "Succeeded":
            draft.doom(pod, _ended(draft, pod, "Normal", "Succeeded", f"on node {node}, will try to delete it"))
        elif (left := failures.wait(_place(draft.daemon_set, node), pod, draft.context.now)) > 0:
            draft.waits.append(left)
        else:
            draft.doom(pod, _ended(draft, pod, "Warning", "Failed", f"on node {node}, will try to kill it"))
    return running


def _place(daemon_set: Object, node: str) -> Place:
    observed = (daemon_set.get("status") or {}).get("observedGeneration") or 0
    return Place(daemon_set["metadata"]["uid"], int(observed), node)


def _ended(draft: Draft, pod: Object, kind: str, how: str, what: str) -> EventNote:
    meta = pod["metadata"]
    message = f"Found {how.lower()} daemon pod {meta['namespace']}/{meta['name']} {what}"
    return EventNote(draft.daemon_set, kind, f"{how}DaemonPod", message)


def _keep_oldest(draft: Draft, running: Sequence[Object]) -> None:
    for pod in running[1:]:
        draft.doom(pod)


def _keep_old_and_new(draft: Draft, running: Sequence[Object]) -> None:
    """While it surges a node may have an old pod that is ready and a new one that is not available yet."""
    new = [pod for pod in running if draft.is_new(pod)]
    old = [pod for pod in running if not draft.is_new(pod)]
    for pod in (*new[1:], *old[1:]):
        draft.doom(pod)
    if new and old and (not pod_state.is_ready(old[0]) or draft.is_available(new[0])):
        draft.doom(old[0])
