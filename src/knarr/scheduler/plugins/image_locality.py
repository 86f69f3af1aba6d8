"""ImageLocality: prefers nodes that have the pod's images already, weighted by size and spread."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.scheduler.framework import MAX_SCORE, Snapshot
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_info import PodInfo

_MIB = 1024 * 1024
_LEAST = 23 * _MIB
_MOST_PER_CONTAINER = 1000 * _MIB


class ImageLocality:
    """Scores by the bytes of the pod's images on a node; an image that few nodes have counts less."""

    name = "ImageLocality"

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Sequence[int] | None:
        """Between 23 MiB (nothing) and 1000 MiB a container (everything)."""
        known = [image for image in pod.images if image in snapshot.image_nodes]
        if not known:
            return None
        spread = {image: snapshot.image_nodes[image] / len(snapshot.nodes) for image in known}
        most = _MOST_PER_CONTAINER * len(pod.images)
        out = []
        for node in nodes:
            total = sum(int(node.images.get(image, 0) * spread[image]) for image in known)
            out.append(MAX_SCORE * (min(max(total, _LEAST), most) - _LEAST) // (most - _LEAST))
        return out
