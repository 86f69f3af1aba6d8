"""The working state of one round: what the ReplicaSets and the Deployment's status shall become.

ReplicaSets are copied when they are changed first, and each is written once at the end of the round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from knarr.api.registry import REPLICASETS
from knarr.api.semantics import conditions
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller.deployment import replica_sets as sets
from knarr.controller_runtime.changes import Change, Context, Create, Delete, EventNote, Update


@dataclass(slots=True)
class Draft:
    """One round for one Deployment. `old` and `new` are its ReplicaSets as they shall be."""

    deployment: Object
    context: Context
    old: list[Object]
    new: Object | None
    conditions: list[Object]
    annotations: dict[str, str]
    collisions: int
    created: Create | None = None
    deleted: list[Delete] = field(default_factory=list)
    _before: dict[str, Object] = field(default_factory=dict)

    @property
    def all(self) -> list[Object]:
        """All ReplicaSets, the new one last."""
        return [*self.old, self.new] if self.new is not None else list(self.old)

    def edit(
        self, replica_set: Object, *, size: int | None = None, annotations: dict[str, str] | None = None
    ) -> Object:
        """Change a ReplicaSet of the draft; the changed copy."""
        meta, spec = replica_set["metadata"], replica_set["spec"]
        changed = {
            **replica_set,
            "metadata": {
                **meta,
                "annotations": annotations if annotations is not None else meta.get("annotations", {}),
            },
            "spec": {**spec, "replicas": spec.get("replicas", 1) if size is None else size},
        }
        self._put(meta["name"], replica_set, changed)
        return changed

    def edit_patience(self, replica_set: Object, seconds: int) -> Object:
        """Give a ReplicaSet the Deployment's `minReadySeconds`."""
        spec = {**replica_set["spec"], "minReadySeconds": seconds}
        if not seconds:
            del spec["minReadySeconds"]
        changed = {**replica_set, "spec": spec}
        self._put(replica_set["metadata"]["name"], replica_set, changed)
        return changed

    def _put(self, name: str, before: Object, changed: Object) -> None:
        self._before.setdefault(name, before)
        self.old = [changed if item["metadata"]["name"] == name else item for item in self.old]
        if self.new is not None and self.new["metadata"]["name"] == name:
            self.new = changed

    def scale(self, replica_set: Object, size: int) -> bool:
        """Give a ReplicaSet a size, and note the Deployment's size on it; whether the size is another."""
        resized = sets.replicas(replica_set) != size
        annotations = {**(replica_set["metadata"].get("annotations") or {}), **sets.size_annotations(self.deployment)}
        if resized or annotations != (replica_set["metadata"].get("annotations") or {}):
            self.edit(replica_set, size=size, annotations=annotations)
        return resized

    def set_condition(self, kind: str, status: str, reason: str, message: str) -> None:
        """Set a condition of the Deployment; one that says the same is left as it is."""
        present = conditions.of_type(self.conditions, kind)
        if present is not None and (present["status"], present.get("reason")) == (status, reason):
            return
        now = timestamps.seconds(self.context.now)
        since = present["lastTransitionTime"] if present is not None and present["status"] == status else now
        self.conditions = [
            *conditions.without(self.conditions, kind),
            {
                "type": kind,
                "status": status,
                "lastUpdateTime": now,
                "lastTransitionTime": since,
                "reason": reason,
                "message": message,
            },
        ]

    def changes(self) -> Iterator[Change]:
        """The writes of ReplicaSets: the created one, the changed ones, the deleted ones."""
        if self.created is not None:
            yield self.created
        for replica_set in self.all:
            before = self._before.get(replica_set["metadata"]["name"])
            if before is not None and before != replica_set:
                yield Update(REPLICASETS, replica_set, done=self._scaled(before, replica_set))
        yield from self.deleted

    def _scaled(self, before: Object, after: Object) -> EventNote | None:
        one, other = sets.replicas(before), sets.replicas(after)
        if one == other:
            return None
        way, name = "up" if other > one else "down", after["metadata"]["name"]
        message = f"Scaled {way} replica set {name} from {one} to {other}"
        return EventNote(self.deployment, "Normal", "ScalingReplicaSet", message)
