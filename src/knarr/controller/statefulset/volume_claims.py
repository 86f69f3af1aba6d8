"""The claims of a set's pods: which are missing, and who owns them, so that they go when they shall.

https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from knarr.api.registry import PODS, PVCS, STATEFULSETS
from knarr.api.semantics import owners
from knarr.apimachinery.types import Object
from knarr.controller.statefulset import identity
from knarr.controller_runtime.changes import Create, EventNote, Update
from knarr.controller_runtime.snapshot import Snapshot

_DELETE = "Delete"


@dataclass(frozen=True, slots=True)
class Missing:
    """Claims to create for a pod; `going` is one that must be gone first, empty where none is in the way."""

    creates: tuple[Create, ...]
    going: str = ""


def missing(stateful_set: Object, number: int, snapshot: Snapshot, *, for_new_pod: bool) -> Missing:
    """What the pod of an ordinal lacks before it can run."""
    namespace = stateful_set["metadata"]["namespace"]
    creates, going = [], ""
    for template in identity.claim_templates(stateful_set):
        name = identity.claim_name(stateful_set, template, number)
        found = snapshot.get(PVCS, namespace, name)
        if found is None:
            creates.append(_create(stateful_set, template, number, for_new_pod=for_new_pod))
        elif found["metadata"].get("deletionTimestamp"):
            going = going or name
    return Missing(tuple(creates), going)


def waits_for_predecessor(stateful_set: Object, number: int, snapshot: Snapshot) -> bool:
    """Whether a claim still goes with the pod that had this ordinal before, and must not be used again."""
    pod_name = f"{stateful_set['metadata']['name']}-{number}"
    refs = (ref for claim in _existing(stateful_set, number, snapshot) for ref in owners.references(claim))
    return any(ref["kind"] == PODS.kind and ref["apiVersion"] == "v1" and ref["name"] == pod_name for ref in refs)


def reowned(stateful_set: Object, pod: Object, snapshot: Snapshot) -> list[Update]:
    """The claims of a pod whose owners are not those that the retention policy asks for."""
    number = identity.ordinal(pod)
    owner = _owner(stateful_set, pod)
    updates = []
    for claim in _existing(stateful_set, number, snapshot):
        refs = _right_references(claim, stateful_set, pod, owner)
        if refs is not None:
            meta = {**claim["metadata"], "ownerReferences": refs}
            updates.append(Update(PVCS, {**claim, "metadata": meta}))
    return updates


def _existing(stateful_set: Object, number: int, snapshot: Snapshot) -> Iterable[Object]:
    namespace = stateful_set["metadata"]["namespace"]
    for template in identity.claim_templates(stateful_set):
        name = identity.claim_name(stateful_set, template, number)
        claim = snapshot.get(PVCS, namespace, name)
        if claim is not None:
            yield claim


def _goes_with_set(stateful_set: Object) -> bool:
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenDeleted") == _DELETE


def _owner(stateful_set: Object, pod: Object) -> Object | None:
    """The reference that a claim of this pod must have: to the set, or to the pod where it has been scaled away."""
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    scaled_away = identity.ordinal(pod) not in identity.ordinals(stateful_set)
    if policy.get("whenScaled") == _DELETE and scaled_away:
        return owners.controller_reference(pod, PODS)
    return owners.controller_reference(stateful_set, STATEFULSETS) if _goes_with_set(stateful_set) else None


def _right_references(claim: Object, stateful_set: Object, pod: Object, owner: Object | None) -> list[Object] | None:
    """The owners that a claim shall have; None where it has them, or where somebody else controls it."""
    ours = {stateful_set["metadata"]["uid"], pod["metadata"]["uid"]}
    refs = owners.references(claim)
    if any(ref.get("controller") and ref["uid"] not in ours for ref in refs):
        return None
    wanted = [owner] if owner is not None else []
    if [ref for ref in refs if ref["uid"] in ours] == wanted:
        return None
    return [ref for ref in refs if ref["uid"] not in ours] + wanted


def _create(stateful_set: Object, template: Object, number: int, *, for_new_pod: bool) -> Create:
    set_name = stateful_set["metadata"]["name"]
    name, pod = identity.claim_name(stateful_set, template, number), f"{set_name}-{number}"
    told = f"create Claim {name} Pod {pod} in StatefulSet {set_name} success"
    untold = f"create Claim {name} for Pod {pod} in StatefulSet {set_name} failed error: {{error}}"
    failed = [EventNote(stateful_set, "Warning", "FailedCreate", untold)]
    if for_new_pod:
        why = f"create Pod {pod} in StatefulSet {set_name} failed error: failed to create PVC {name}: {{error}}"
        failed.append(EventNote(stateful_set, "Warning", "FailedCreate", why))
    return Create(
        PVCS,
        _new_claim(stateful_set, template, name),
        EventNote(stateful_set, "Normal", "SuccessfulCreate", told),
        tuple(failed),
    )


def _new_claim(stateful_set: Object, template: Object, name: str) -> Object:
    given = template["metadata"]
    meta = {**given, "name": name, "namespace": stateful_set["metadata"]["namespace"]}
    matched = stateful_set["spec"]["selector"].get("matchLabels") or {}
    if labels := {**(given.get("labels") or {}), **matched}:
        meta["labels"] = labels
    if _goes_with_set(stateful_set):
        own = owners.controller_reference(stateful_set, STATEFULSETS)
        meta["ownerReferences"] = [*owners.references(template), own]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": template["spec"]}
