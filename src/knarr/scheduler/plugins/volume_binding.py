"""VolumeBinding: nodes on which all claims of the pod have, or can be given, their volumes (KEP-490)."""

from __future__ import annotations

from knarr.api.registry import PVCS
from knarr.api.semantics import pod_claims
from knarr.scheduler import volumes
from knarr.scheduler.framework import SKIP, Event, EventKind, PreFilterResult, Snapshot, Status, unresolvable
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_info import PodInfo


class VolumeBinding:
    """Refuses pods whose claims cannot be served at all, and nodes on which they cannot."""

    name = "VolumeBinding"

    def pre_filter(self, pod: PodInfo, snapshot: Snapshot) -> PreFilterResult:
        """Look the pod's claims up; a pod without any is let pass."""
        try:
            claims = volumes.claims_of(pod, snapshot.storage)
        except volumes.UnusableClaim as problem:
            return PreFilterResult(rejection=unresolvable(str(problem)))
        if not claims.bound and not claims.delayed:
            return SKIP

        def judge(node: NodeInfo) -> Status | None:
            found = volumes.place(claims, node, snapshot.storage)
            return found if isinstance(found, Status) else None

        return PreFilterResult(judge)

    def wakes(self, pod: PodInfo, event: Event) -> bool:
        """When a node comes or changes, one of the pod's claims does, or anything that claims are served from."""
        if event.kind in (EventKind.NODE_ADD, EventKind.NODE_UPDATE):
            return True
        if event.kind is not EventKind.STORAGE:
            return False
        changed = event.new or event.old or {}
        if changed.get("kind") != PVCS.kind:
            return True
        meta = changed["metadata"]
        return bool(meta["namespace"] == pod.namespace and meta["name"] in pod_claims.names(pod.obj))
