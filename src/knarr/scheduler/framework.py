"""What a scheduling plugin is.

A plugin is a stateless object. For every cycle `pre_filter` looks once at the pod and the whole snapshot and returns a
function that judges single nodes; `score` rates all nodes that passed at once. `wakes` says which changes of the
cluster may help a pod that this plugin has refused. Nothing here changes the snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import NamedTuple, Protocol, TypeAlias

from knarr.apimachinery.types import Object
from knarr.scheduler.memo import Memo
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_groups import PodGroups
from knarr.scheduler.pod_info import PodInfo
from knarr.scheduler.storage import Storage
from knarr.scheduler.workloads import WorkloadSelectors

MAX_SCORE = 100


class Code(Enum):
    """Why a node or pod was refused: `UNRESOLVABLE` means that removing pods from the node would not help."""

    UNSCHEDULABLE = "Unschedulable"
    UNRESOLVABLE = "UnschedulableAndUnresolvable"


@dataclass(frozen=True, slots=True)
class Status:
    """A refusal and its reasons, as they are counted in messages. No status is success."""

    code: Code
    reasons: tuple[str, ...]


def unschedulable(*reasons: str) -> Status:
    """A refusal that removing pods may lift."""
    return Status(Code.UNSCHEDULABLE, reasons)


def unresolvable(*reasons: str) -> Status:
    """A refusal that removing pods does not lift."""
    return Status(Code.UNRESOLVABLE, reasons)


#: Judges one node: `None` lets it pass.
NodeFilter: TypeAlias = Callable[[NodeInfo], Status | None]


class PreFilterResult(NamedTuple):
    """What a plugin has found before looking at single nodes.

    `filter` judges nodes; without it the plugin lets all pass. `node_names` narrows the nodes to look at. `rejection`
    refuses the pod whatever the nodes are. A filter that looks at nothing but the node's object and the pod's
    `placement` is `static`: what it said is remembered until nodes change.
    """

    filter: NodeFilter | None = None
    node_names: frozenset[str] | None = None
    rejection: Status | None = None
    static: bool = False


SKIP = PreFilterResult()


class Snapshot(Protocol):
    """The cluster as it stands during one cycle."""

    @property
    def nodes(self) -> Sequence[NodeInfo]:
        """All nodes, those of different zones in turn."""
        ...

    @property
    def nodes_by_name(self) -> Mapping[str, NodeInfo]:
        """The same nodes by name."""
        ...

    @property
    def memo(self) -> Memo:
        """What is remembered of nodes, by `PodInfo.placement` and who asks."""
        ...

    @property
    def groups(self) -> PodGroups:
        """Where the pods are that carry the same labels."""
        ...

    @property
    def image_nodes(self) -> Mapping[str, int]:
        """How many nodes have an image, by its normalized name."""
        ...

    @property
    def workloads(self) -> WorkloadSelectors:
        """What selects pods: Services and controllers."""
        ...

    @property
    def storage(self) -> Storage:
        """Claims, volumes and their classes."""
        ...

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """The labels of a namespace; none when it is unknown."""
        ...


class EventKind(Enum):
    """A change that may make an unschedulable pod schedulable."""

    NODE_ADD = "NodeAdd"
    NODE_UPDATE = "NodeUpdate"
    NODE_DELETE = "NodeDelete"
    POD_ADD = "AssignedPodAdd"
    POD_UPDATE = "AssignedPodUpdate"
    POD_DELETE = "AssignedPodDelete"
    NAMESPACE = "NamespaceChange"
    WORKLOAD = "WorkloadChange"
    STORAGE = "StorageChange"


@dataclass(frozen=True)
class Event:
    """A change of one object; pods are those that have a node."""

    kind: EventKind
    old: Object | None = None
    new: Object | None = None

    @cached_property
    def old_pod(self) -> PodInfo | None:
        """The old object as a pod."""
        return PodInfo(self.old) if self.old is not None else None

    @cached_property
    def new_pod(self) -> PodInfo | None:
        """The new object as a pod."""
        return PodInfo(self.new) if self.new is not None else None

    @cached_property
    def pods(self) -> tuple[PodInfo, ...]:
        """The objects as pods, as far as they are there."""
        return tuple(pod for pod in (self.old_pod, self.new_pod) if pod is not None)

    @cached_property
    def old_node(self) -> NodeInfo | None:
        """The old object as an empty node."""
        return _node(self.old)

    @cached_property
    def new_node(self) -> NodeInfo | None:
        """The new object as an empty node."""
        return _node(self.new)


def _node(obj: Object | None) -> NodeInfo | None:
    if obj is None:
        return None
    node = NodeInfo(obj["metadata"]["name"])
    node.set_object(obj)
    return node


class Plugin(Protocol):
    """What every plugin has."""

    @property
    def name(self) -> str:
        """Its name in Kubernetes."""
        ...

    def wakes(self, pod: PodInfo, event: Event) -> bool:
        """Whether a pod this plugin refused may pass after the event."""
        ...


class FilterPlugin(Plugin, Protocol):
    """Decides where a pod can run."""

    def pre_filter(self, pod: PodInfo, snapshot: Snapshot) -> PreFilterResult:
        """Look at pod and cluster once a cycle."""
        ...


class ScorePlugin(Protocol):
    """Decides where a pod runs best."""

    @property
    def name(self) -> str:
        """Its name in Kubernetes."""
        ...

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Sequence[int] | None:
        """A score of 0 to `MAX_SCORE` for each of the nodes, or `None` when they are all the same to it."""
        ...


class EnqueuePlugin(Plugin, Protocol):
    """Decides whether a pod may be tried at all."""

    def pre_enqueue(self, pod: PodInfo) -> Status | None:
        """A refusal, or `None`."""
        ...


def normalized(scores: Sequence[int], *, reverse: bool = False) -> list[int]:
    """Scores scaled so that the highest becomes `MAX_SCORE`; with `reverse`, the highest becomes 0."""
    highest = max(scores, default=0)
    if highest == 0:
        return [MAX_SCORE if reverse else 0] * len(scores)
    scaled = [MAX_SCORE * score // highest for score in scores]
    return [MAX_SCORE - score for score in scaled] if reverse else scaled
