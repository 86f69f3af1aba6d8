"""Which plugins run, in which order, with which weights: the defaults of kube-scheduler v1.36.

A new plugin is one file in `plugins/` and a line in one of the tuples.
"""

from __future__ import annotations

from dataclasses import dataclass

from knarr.scheduler.framework import EnqueuePlugin, FilterPlugin, Plugin, ScorePlugin
from knarr.scheduler.plugins.image_locality import ImageLocality
from knarr.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from knarr.scheduler.plugins.node_affinity import NodeAffinity
from knarr.scheduler.plugins.node_name import NodeName
from knarr.scheduler.plugins.node_ports import NodePorts
from knarr.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from knarr.scheduler.plugins.node_resources_fit import NodeResourcesFit
from knarr.scheduler.plugins.node_unschedulable import NodeUnschedulable
from knarr.scheduler.plugins.pod_topology_spread import PodTopologySpread
from knarr.scheduler.plugins.scheduling_gates import SchedulingGates
from knarr.scheduler.plugins.taint_toleration import TaintToleration
from knarr.scheduler.plugins.volume_binding import VolumeBinding


@dataclass(frozen=True, slots=True)
class Profile:
    """The plugins of one scheduler name, in order."""

    scheduler_name: str
    enqueue: tuple[EnqueuePlugin, ...]
    filters: tuple[FilterPlugin, ...]
    scores: tuple[tuple[ScorePlugin, int], ...]

    def plugin(self, name: str) -> Plugin | None:
        """The plugin with this name among those that can refuse a pod."""
        return next((plugin for plugin in (*self.enqueue, *self.filters) if plugin.name == name), None)


DEFAULT = Profile(
    scheduler_name="default-scheduler",
    enqueue=(SchedulingGates(),),
    filters=(
        NodeUnschedulable(),
        NodeName(),
        TaintToleration(),
        NodeAffinity(),
        NodePorts(),
        NodeResourcesFit(),
        VolumeBinding(),
        PodTopologySpread(),
        InterPodAffinity(),
    ),
    scores=(
        (TaintToleration(), 3),
        (NodeAffinity(), 2),
        (NodeResourcesFit(), 1),
        (PodTopologySpread(), 2),
        (InterPodAffinity(), 2),
        (NodeResourcesBalancedAllocation(), 1),
        (ImageLocality(), 1),
    ),
)
