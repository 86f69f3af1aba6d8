"""Deployments: one round of one Deployment.

Input: a Deployment, its ReplicaSets, and (where it recreates) their pods. Output: ReplicaSets to create, size, adopt
or delete, and the Deployment's status, with which its revision annotation is written.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import DEPLOYMENTS, PODS, REPLICASETS
from knarr.api.semantics import conditions, owners, pod_templates
from knarr.apimachinery import labels
from knarr.apimachinery.types import Object
from knarr.controller.deployment import replica_sets as sets
from knarr.controller.deployment import rollback, rollout, scaling, status
from knarr.controller.deployment.draft import Draft
from knarr.controller_runtime.changes import DONE, Change, Context, Create, Delete, EventNote, Result, Update
from knarr.controller_runtime.claims import Owner, claim
from knarr.controller_runtime.controller import Controller, Watch, controller_of_changed, itself, key_of
from knarr.controller_runtime.snapshot import OWNER, Key, Snapshot

_EVERYTHING = "This deployment is selecting all pods. A non-empty selector is required."
_NO_LIMIT = 2**31 - 1


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Take the next step of a Deployment."""
    deployment = snapshot.get(*key)
    if deployment is None:
        return DONE
    if not any((deployment["spec"].get("selector") or {}).values()):
        return _selects_everything(deployment)
    owner = Owner(DEPLOYMENTS, deployment, labels.from_object(deployment["spec"]["selector"]))
    claims = claim(owner, REPLICASETS, snapshot, context)
    if claims.reads:
        return Result(reads=claims.reads)
    if claims.changes:
        return Result(claims.changes, requeue_after=0)
    draft = _draft(deployment, list(claims.held), context)
    if owner.is_going:
        return _finish(draft, in_rollout=False)
    status.set_paused(draft)
    return _step(draft, snapshot)


def _draft(deployment: Object, held: list[Object], context: Context) -> Draft:
    new = sets.find_new(deployment, held)
    known = deployment.get("status") or {}
    return Draft(
        deployment=deployment,
        context=context,
        old=[item for item in held if item is not new],
        new=new,
        conditions=list(conditions.listed(deployment)),
        annotations=dict(deployment["metadata"].get("annotations") or {}),
        collisions=int(known.get("collisionCount") or 0),
    )


def _step(draft: Draft, snapshot: Snapshot) -> Result:
    spec = draft.deployment["spec"]
    _sync_new(draft)
    if not spec.get("paused") and rollback.asked(draft.deployment) is not None:
        if draft.new is not None:
            return rollback.roll_back(draft)
        _require_new(draft, snapshot)
        return _finish(draft, in_rollout=False)
    if spec.get("paused") or scaling.is_scaling(draft):
        scaling.scale(draft)
        if spec.get("paused"):
            _clean_up(draft)
        return _finish(draft, in_rollout=False)
    if sets.is_rolling(draft.deployment):
        _require_new(draft, snapshot)
        rollout.roll(draft)
    else:
        _recreate(draft, snapshot)
    if status.is_complete(draft.deployment, draft.deployment.get("status") or {}):
        _clean_up(draft)
    return _finish(draft, in_rollout=True)


def _recreate(draft: Draft, snapshot: Snapshot) -> None:
    if rollout.give_up_old(draft) or rollout.old_pods_left(draft, _pods(draft.old, snapshot)):
        return
    _require_new(draft, snapshot)
    rollout.bring_up_new(draft)


def _pods(replica_sets: Iterable[Object], snapshot: Snapshot) -> list[Object]:
    return [pod for item in replica_sets for pod in snapshot.indexed(PODS, OWNER, item["metadata"]["uid"])]


# The new ReplicaSet


def _sync_new(draft: Draft) -> None:
    """Bring the revision and annotations of the new ReplicaSet, and the Deployment's revision, up to date."""
    new = draft.new
    if new is None:
        return
    annotations = sets.synced_annotations(draft.deployment, new, sets.max_revision(draft.old) + 1)
    if annotations != (new["metadata"].get("annotations") or {}):
        new = draft.edit(new, annotations=annotations)
    patience = draft.deployment["spec"].get("minReadySeconds", 0)
    if new["spec"].get("minReadySeconds", 0) != patience:
        draft.edit_patience(new, patience)
    draft.annotations[sets.REVISION] = annotations[sets.REVISION]
    expects = status.deadline(draft.deployment) is not None
    if expects and conditions.of_type(draft.conditions, "Progressing") is None:
        message = f'Found new replica set "{new["metadata"]["name"]}"'
        draft.set_condition("Progressing", "True", "FoundNewReplicaSet", message)


def _require_new(draft: Draft, snapshot: Snapshot) -> None:
    """Create the new ReplicaSet where there is none."""
    if draft.new is not None:
        return
    template_hash = _free_hash(draft, snapshot)
    new = _new_set(draft, template_hash)
    size = sets.new_size(draft.deployment, [*draft.old, new], new)
    new["spec"]["replicas"] = size
    name = new["metadata"]["name"]
    scaled = f"Scaled up replica set {name} from 0 to {size}"
    draft.created = Create(
        REPLICASETS,
        new,
        EventNote(draft.deployment, "Normal", "ScalingReplicaSet", scaled) if size else None,
        EventNote(
            draft.deployment,
            "Warning",
            "ReplicaSetCreateError",
            f'Failed to create new replica set "{name}": {{error}}',
        ),
    )
    draft.new = new
    draft.annotations[sets.REVISION] = new["metadata"]["annotations"][sets.REVISION]
    _note_creation(draft, name)


def _note_creation(draft: Draft, name: str) -> None:
    """What became of the last attempt, or that one is made."""
    if status.deadline(draft.deployment) is None:
        return
    failure = draft.context.failure
    if failure is not None and isinstance(failure.change, Create) and failure.reason != "AlreadyExists":
        message = f'Failed to create new replica set "{name}": {failure.message}'
        draft.set_condition("Progressing", "False", "ReplicaSetCreateError", message)
    else:
        draft.set_condition("Progressing", "True", "NewReplicaSetCreated", f'Created new replica set "{name}"')


def _free_hash(draft: Draft, snapshot: Snapshot) -> str:
    """The template's hash; when another ReplicaSet has that name, the collision is counted and hashed in."""
    meta = draft.deployment["metadata"]
    taken = _taken_name(draft.context)
    while True:
        found = pod_templates.template_hash(draft.deployment["spec"]["template"], draft.collisions)
        name = f"{meta['name']}-{found}"
        if name != taken and snapshot.get(REPLICASETS, meta["namespace"], name) is None:
            return found
        draft.collisions += 1


def _taken_name(context: Context) -> str:
    failure = context.failure
    if failure is None or failure.reason != "AlreadyExists" or not isinstance(failure.change, Create):
        return ""
    return str(failure.change.object["metadata"]["name"])


def _new_set(draft: Draft, template_hash: str) -> Object:
    deployment = draft.deployment
    meta, spec = deployment["metadata"], deployment["spec"]
    template = spec["template"]
    given = template.get("metadata") or {}
    hashed = {**(given.get("labels") or {}), pod_templates.HASH_LABEL: template_hash}
    selector = spec["selector"]
    matched = {**(selector.get("matchLabels") or {}), pod_templates.HASH_LABEL: template_hash}
    new: Object = {
        "apiVersion": REPLICASETS.api_version,
        "kind": REPLICASETS.kind,
        "metadata": {
            "name": f"{meta['name']}-{template_hash}",
            "namespace": meta["namespace"],
            "labels": hashed,
            "ownerReferences": [owners.controller_reference(deployment, DEPLOYMENTS)],
        },
        "spec": {
            "replicas": 0,
            "selector": {**selector, "matchLabels": matched},
            "template": {**template, "metadata": {**given, "labels": hashed}},
        },
    }
    if spec.get("minReadySeconds"):
        new["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    annotations = sets.synced_annotations(deployment, new, sets.max_revision(draft.old) + 1)
    new["metadata"]["annotations"] = annotations | sets.size_annotations(deployment)
    return new


# The end of a round


def _clean_up(draft: Draft) -> None:
    """Delete the oldest revisions beyond the history that is kept."""
    limit = draft.deployment["spec"].get("revisionHistoryLimit")
    if limit is None or limit == _NO_LIMIT:
        return
    alive = [item for item in draft.old if not item["metadata"].get("deletionTimestamp")]
    for item in sorted(alive, key=sets.revision)[: max(0, len(alive) - limit)]:
        meta = item["metadata"]
        seen = (item.get("status") or {}).get("observedGeneration", 0) >= meta.get("generation", 0)
        if seen and not sets.counted(item, "replicas") and not sets.replicas(item):
            draft.deleted.append(Delete(REPLICASETS, meta["namespace"], meta["name"], uid=meta["uid"]))


def _finish(draft: Draft, *, in_rollout: bool) -> Result:
    numbers = status.numbers(draft)
    status.set_available(draft, numbers)
    if in_rollout:
        status.set_progressing(draft, numbers)
        status.set_failure(draft)
    written = _write_status(draft, {**numbers, "conditions": draft.conditions})
    changes: tuple[Change, ...] = tuple(draft.changes())
    if draft.context.failure is not None:
        # The status must not wait behind a change that fails again and again.
        return Result((*written, *changes), requeue_after=status.next_check(draft, numbers))
    return Result((*changes, *written), requeue_after=status.next_check(draft, numbers))


def _write_status(draft: Draft, new_status: Object) -> tuple[Change, ...]:
    deployment = draft.deployment
    meta = deployment["metadata"]
    if (deployment.get("status") or {}) == new_status and (meta.get("annotations") or {}) == draft.annotations:
        return ()
    written = {**deployment, "metadata": {**meta, "annotations": draft.annotations}, "status": new_status}
    return (Update(DEPLOYMENTS, written, "status"),)


def _selects_everything(deployment: Object) -> Result:
    note = EventNote(deployment, "Warning", "SelectingAll", _EVERYTHING)
    generation, known = deployment["metadata"].get("generation", 0), deployment.get("status") or {}
    if known.get("observedGeneration", 0) >= generation:
        return Result(events=(note,))
    changed = {**deployment, "status": {**known, "observedGeneration": generation}}
    return Result((Update(DEPLOYMENTS, changed, "status"),), (note,))


# Whom changes wake


def _of_set(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    keys = set(controller_of_changed(DEPLOYMENTS)(old, new, snapshot))
    if new is not None and owners.controller_of(new) is None:
        meta = new["metadata"]
        for deployment in snapshot.list(DEPLOYMENTS, meta.get("namespace", "")):
            if labels.from_object(deployment["spec"]["selector"]).matches(meta.get("labels")):
                keys.add(key_of(DEPLOYMENTS, deployment))
    return keys


def _of_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """The end of a pod matters to a Deployment that recreates."""
    if old is None or new is not None:
        return ()
    sets_of_pod = controller_of_changed(REPLICASETS)(old, None, snapshot)
    found = (snapshot.get(*key) for key in sets_of_pod)
    keys = {
        key for item in found if item is not None for key in controller_of_changed(DEPLOYMENTS)(None, item, snapshot)
    }
    return [key for key in keys if not sets.is_rolling(snapshot.get(*key) or {"spec": {}})]


CONTROLLER = Controller(
    name="deployment-controller",
    queue="deployment",
    resource=DEPLOYMENTS,
    watches=(
        Watch(DEPLOYMENTS, itself(DEPLOYMENTS)),
        Watch(REPLICASETS, _of_set),
        Watch(PODS, _of_pod),
    ),
    writes=("create, update, patch, delete replicasets", "update deployments, deployments/status"),
    reconcile=reconcile,
)
