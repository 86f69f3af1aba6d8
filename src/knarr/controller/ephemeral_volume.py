"""Makes the claims of generic ephemeral volumes.

Input: a pod, the claims of its namespace. Output: a claim for each of its ephemeral volumes that has none, owned by the
pod, so that it goes with it. A claim of that name that the pod does not own is left alone and told of.
Source: KEP-1698
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from knarr.api.registry import PODS, PVCS
from knarr.api.semantics import owners
from knarr.api.semantics.pod_claims import ephemeral_name
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, Create, EventNote, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of
from knarr.controller_runtime.snapshot import CLAIM, Key, Snapshot

_FAILED = "FailedBinding"


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Make what claims a pod lacks."""
    pod = snapshot.get(*key)
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return DONE
    creates, events = [], []
    for volume in _ephemeral(pod):
        name = ephemeral_name(pod, volume)
        claim = snapshot.get(PVCS, key.namespace, name)
        if claim is None:
            failed = _note(pod, volume, f"create PVC {name}: {{error}}")
            creates.append(Create(PVCS, _claim(pod, volume, name), failed=failed))
        elif not owners.is_controlled_by(claim, pod):
            events.append(_note(pod, volume, _foreign(pod, name)))
    return Result(tuple(creates), tuple(events))


def _foreign(pod: Object, name: str) -> str:
    meta = pod["metadata"]
    place = f"{meta['namespace']}/{meta['name']}"
    return f"PVC {meta['namespace']}/{name} was not created for pod {place} (pod is not owner)"


def _note(pod: Object, volume: Object, problem: str) -> EventNote:
    return EventNote(pod, "Warning", _FAILED, f"ephemeral volume {volume['name']}: {problem}")


def _ephemeral(pod: Object) -> Iterator[Object]:
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if volume.get("ephemeral") is not None:
            yield volume


def _claim(pod: Object, volume: Object, name: str) -> Object:
    template = volume["ephemeral"]["volumeClaimTemplate"]
    given = template.get("metadata") or {}
    meta = {key: given[key] for key in ("labels", "annotations") if given.get(key)}
    meta |= {"name": name, "namespace": pod["metadata"]["namespace"]}
    meta["ownerReferences"] = [owners.controller_reference(pod, PODS)]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": template["spec"]}


def _woken_by_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A new pod: its volumes never change."""
    if new is None or old is not None or new["metadata"].get("deletionTimestamp"):
        return ()
    return [key_of(PODS, new)] if any(_ephemeral(new)) else ()


def _woken_by_claim(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A claim that is gone may have to be made again."""
    if new is not None or old is None:
        return ()
    meta = old["metadata"]
    users = snapshot.indexed(PODS, CLAIM, f"{meta['namespace']}/{meta['name']}")
    return [key_of(PODS, pod) for pod in users if any(_ephemeral(pod))]


CONTROLLER = Controller(
    name="ephemeral-volume-controller",
    component="ephemeral_volume",
    resource=PODS,
    watches=(Watch(PODS, _woken_by_pod), Watch(PVCS, _woken_by_claim)),
    writes=("create persistentvolumeclaims",),
    reconcile=reconcile,
)
