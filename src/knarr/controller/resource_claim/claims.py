"""One round of a claim: reservations of pods that are gone end, and with the last of them its devices are free.

Input: a claim, the pods it is reserved for. Output: its status without them, then without its finalizer, or its end.
Invariant: a reservation ends only for a pod that has ended, or that a live read has shown to be gone.
"""

from __future__ import annotations

from knarr.api.registry import PODS, RESOURCECLAIMS
from knarr.api.semantics import device_claims, owners
from knarr.api.semantics.device_claims import FINALIZER
from knarr.apimachinery.types import Object
from knarr.controller_runtime import finalizers
from knarr.controller_runtime.changes import DONE, Context, Delete, Read, Result, Update
from knarr.controller_runtime.snapshot import Snapshot

_LOOK_AGAIN = 10.0


def sync(claim: Object, snapshot: Snapshot, context: Context) -> Result:
    """Take the next step of a claim."""
    meta = claim["metadata"]
    itself = Read(RESOURCECLAIMS, meta["namespace"], meta["name"])
    if itself in context.live:
        return _freed(context.live[itself])
    users = device_claims.reserved_for(claim)
    if any(each.get("apiGroup") or each.get("resource") != "pods" for each in users):
        # Others than pods look after their reservations themselves.
        return DONE
    unknown = [read for user in users if (read := _doubt(claim, user, snapshot)) and read not in context.live]
    if unknown:
        return Result(reads=tuple(unknown))
    left = [user for user in users if _is_used(claim, user, snapshot, context)]
    if len(left) < len(users):
        return Result((_reserved(claim, left),), reads=() if left else (itself,))
    if left:
        # A pod that the watch has not shown yet may be gone before it ever does.
        unseen = any(_pod(claim, user, snapshot) is None for user in left)
        return Result(requeue_after=_LOOK_AGAIN) if unseen else DONE
    if finalizers.is_held(claim, FINALIZER):
        allocated = (claim.get("status") or {}).get("allocation") is not None
        return Result((_reserved(claim, []),)) if allocated else finalizers.removed(RESOURCECLAIMS, claim, FINALIZER)
    return _unneeded(claim, snapshot)


def _pod(claim: Object, user: Object, snapshot: Snapshot) -> Object | None:
    """The very pod of a reservation, as the watch shows it; what it shows may be the one before of that name."""
    found = snapshot.get(PODS, claim["metadata"]["namespace"], user["name"])
    return found if found is not None and found["metadata"]["uid"] == user["uid"] else None


def _doubt(claim: Object, user: Object, snapshot: Snapshot) -> Read | None:
    """What must be read of a pod that the watch does not show."""
    known = _pod(claim, user, snapshot) is not None
    return None if known else Read(PODS, claim["metadata"]["namespace"], user["name"])


def _is_used(claim: Object, user: Object, snapshot: Snapshot, context: Context) -> bool:
    pod = _pod(claim, user, snapshot)
    if pod is not None:
        return not device_claims.is_done(pod)
    live = context.live[Read(PODS, claim["metadata"]["namespace"], user["name"])]
    return live is not None and bool(live["metadata"]["uid"] == user["uid"]) and not device_claims.is_done(live)


def _reserved(claim: Object, users: list[Object]) -> Update:
    """The claim for these users; without any, its devices are free."""
    dropped = ("reservedFor",) if users or not _is_ours(claim) else ("reservedFor", "allocation", "devices")
    status = {name: value for name, value in (claim.get("status") or {}).items() if name not in dropped}
    if users:
        status["reservedFor"] = users
    return Update(RESOURCECLAIMS, {**claim, "status": status}, "status")


def _is_ours(claim: Object) -> bool:
    """Whether a scheduler has allocated the claim."""
    return FINALIZER in (claim["metadata"].get("finalizers") or ())


def _freed(claim: Object | None) -> Result:
    """The claim as it stands after its devices were freed: nothing holds it any more."""
    if claim is None or not _is_ours(claim):
        return DONE
    if (claim.get("status") or {}).get("allocation") is not None or device_claims.reserved_for(claim):
        return DONE
    return finalizers.removed(RESOURCECLAIMS, claim, FINALIZER)


def _unneeded(claim: Object, snapshot: Snapshot) -> Result:
    """Delete a claim that was made for a pod that runs no more; where the pod is gone the garbage collector does."""
    owner = owners.controller_of(claim)
    meta = claim["metadata"]
    if owner is None or owner.get("apiVersion") != "v1" or owner.get("kind") != "Pod" or meta.get("deletionTimestamp"):
        return DONE
    pod = snapshot.get(PODS, meta["namespace"], owner["name"])
    if pod is None or (pod["metadata"]["uid"] == owner["uid"] and not device_claims.is_done(pod)):
        return DONE
    return Result((Delete(RESOURCECLAIMS, meta["namespace"], meta["name"], uid=meta["uid"]),))
