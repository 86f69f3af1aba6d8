"""The working state of one round of one DaemonSet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from knarr.api.registry import DAEMONSETS
from knarr.api.semantics import pod_state, pod_templates, revisions
from knarr.apimachinery.types import Object
from knarr.controller.daemonset import history, placement
from knarr.controller.daemonset.placement import Fit
from knarr.controller_runtime import dependents
from knarr.controller_runtime.changes import Change, Context, Create, EventNote
from knarr.controller_runtime.names import generated

#: Pods created, and pods deleted, in a round.
_BURST = 250
_GENERATION, _GENERATION_LABEL = "deprecated.daemonset.template.generation", "pod-template-generation"


@dataclass(slots=True)
class Draft:
    """`fits` tells of every node, `pods` what runs where; `wanted` and `doomed` fill up with what is to be done."""

    daemon_set: Object
    hash: str
    fits: dict[str, Fit]
    pods: dict[str, list[Object]]
    context: Context
    #: Nodes that shall get a pod.
    wanted: list[str] = field(default_factory=list)
    #: Pods to delete, by name, and what is told of each beside.
    doomed: dict[str, tuple[Object, tuple[EventNote, ...]]] = field(default_factory=dict)
    #: Seconds until something has to be looked at again.
    waits: list[float] = field(default_factory=list)

    @property
    def patience(self) -> int:
        """Seconds for which a pod must have been ready."""
        return int(self.daemon_set["spec"].get("minReadySeconds") or 0)

    def is_available(self, pod: Object) -> bool:
        """Whether a pod has been ready for long enough."""
        return pod_state.is_available(pod, self.patience, self.context.now)

    def is_new(self, pod: Object) -> bool:
        """Whether a pod was made of the present template."""
        return history.pod_hash(pod) == self.hash

    def doom(self, pod: Object, *told: EventNote) -> None:
        """Delete a pod, once."""
        self.doomed.setdefault(pod["metadata"]["name"], (pod, told))

    def changes(self) -> list[Change]:
        """Pods to create, then pods to delete, as many as a round may."""
        created: list[Change] = [self._create(node) for node in self.wanted[:_BURST]]
        doomed = list(self.doomed.values())[:_BURST]
        return created + [dependents.delete_pod(self.daemon_set, pod, *told) for pod, told in doomed]

    def _create(self, node: str) -> Create:
        daemon_set = self.daemon_set
        name = generated(f"{daemon_set['metadata']['name']}-", self.context.names.suffix())
        pod = pod_templates.new_pod(daemon_set, DAEMONSETS, daemon_set["spec"]["template"], name)
        pod["metadata"]["labels"] |= {revisions.POD_LABEL: self.hash, **_generation(daemon_set)}
        pod["spec"]["tolerations"] = placement.tolerated(pod["spec"])
        pod["spec"]["affinity"] = placement.bound_to(pod["spec"], node)
        return dependents.create_pod(daemon_set, pod)


def by_node(pods: Iterable[Object]) -> dict[str, list[Object]]:
    """Pods by the node they run on or shall run on, those that do and the oldest first."""
    found: dict[str, list[Object]] = defaultdict(list)
    for pod in sorted(pods, key=_age):
        if node := placement.target(pod):
            found[node].append(pod)
    return dict(found)


def _age(pod: Object) -> tuple[bool, str, str]:
    meta = pod["metadata"]
    return not pod["spec"].get("nodeName"), meta.get("creationTimestamp") or "", meta["name"]


def _generation(daemon_set: Object) -> dict[str, str]:
    """The older label that tells a pod's template."""
    text = (daemon_set["metadata"].get("annotations") or {}).get(_GENERATION, "")
    return {_GENERATION_LABEL: str(int(text))} if text.isascii() and text.isdigit() else {}
