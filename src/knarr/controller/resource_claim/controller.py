"""The claim controller of dynamic resource allocation: rounds of pods and of claims.

Input: whichever of pods, claims and templates has changed. Output: the rounds of `pods` and `claims`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from knarr.api.registry import PODS, RESOURCECLAIMS, RESOURCECLAIMTEMPLATES
from knarr.api.semantics import device_claims
from knarr.apimachinery.types import Object
from knarr.controller.resource_claim import claims, pods
from knarr.controller_runtime.changes import DONE, Context, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of
from knarr.controller_runtime.snapshot import OWNER, Key, Snapshot


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Take the next step of a pod or of a claim."""
    obj = snapshot.get(*key)
    if obj is None:
        return DONE
    if key.resource is PODS:
        return pods.sync(obj, snapshot, context)
    return claims.sync(obj, snapshot, context)


def _woken_by_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A pod with claims wakes itself; one that has ended or is gone, its claims."""
    found: set[Key] = set()
    if new is not None and _has_claims(new):
        found |= set(_claims(new, snapshot)) if device_claims.is_done(new) else {key_of(PODS, new)}
    if old is not None and _has_claims(old) and (new is None or new["metadata"]["uid"] != old["metadata"]["uid"]):
        found |= set(_claims(old, snapshot))
    return found


def _has_claims(pod: Object) -> bool:
    return bool(device_claims.of_pod(pod) or (pod.get("status") or {}).get("extendedResourceClaimStatus"))


def _claims(pod: Object, snapshot: Snapshot) -> Iterator[Key]:
    meta = pod["metadata"]
    for name in device_claims.names(pod):
        yield Key(RESOURCECLAIMS, meta["namespace"], name)
    for claim in snapshot.indexed(RESOURCECLAIMS, OWNER, meta["uid"]):
        yield key_of(RESOURCECLAIMS, claim)


def _woken_by_claim(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A claim wakes itself and the pods that use it."""
    key = key_of(RESOURCECLAIMS, new or old or {})
    users = [
        key_of(PODS, pod)
        for pod in snapshot.list(PODS, key.namespace)
        if (pod.get("spec") or {}).get("resourceClaims") and key.name in device_claims.names(pod)
    ]
    return [key, *users] if new is not None else users


def _woken_by_template(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A template that comes wakes the pods that wait for it."""
    if new is None or old is not None:
        return ()
    meta = new["metadata"]
    return [
        key_of(PODS, pod)
        for pod in snapshot.list(PODS, meta["namespace"])
        if any(entry.get("resourceClaimTemplateName") == meta["name"] for entry in device_claims.of_pod(pod))
    ]


CONTROLLER = Controller(
    name="resource-claim-controller",
    component="resource_claim",
    resource=RESOURCECLAIMS,
    watches=(
        Watch(PODS, _woken_by_pod),
        Watch(RESOURCECLAIMS, _woken_by_claim),
        Watch(RESOURCECLAIMTEMPLATES, _woken_by_template),
    ),
    writes=("create, update, delete resourceclaims", "update resourceclaims/status", "patch pods/status"),
    reconcile=reconcile,
)
