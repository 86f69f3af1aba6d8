"""Pods leave devices whose NoExecute taints their claims do not tolerate, or do not tolerate any longer (KEP-5055).

Input: a pod with a node, the claims reserved for it, the resource slices that tell of their devices. Output: the pod's
deletion, at once or when the first toleration ends. Only the newest generation of a pool counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from knarr.api.registry import PODS, RESOURCECLAIMS, RESOURCESLICES
from knarr.api.semantics import device_claims, disruptions
from knarr.api.semantics.tolerations import NO_EXECUTE, tolerates
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, Delete, EventNote, Patch, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of
from knarr.controller_runtime.snapshot import Key, Snapshot

_REASON = "DeletionByDeviceTaintManager"
_MESSAGE = "Device Taint manager: deleting due to NoExecute taint"
_EVENT = "DeviceTaintManagerEviction"


class _Pool(NamedTuple):
    """One pool of a driver's devices."""

    driver: str
    name: str


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Evict a pod when its time is over."""
    pod = snapshot.get(*key)
    if pod is None or pod["metadata"].get("deletionTimestamp") or device_claims.is_done(pod):
        return DONE
    if not (pod.get("spec") or {}).get("nodeName"):
        return DONE
    end = min(_ends(pod, snapshot, context.now), default=None)
    if end is None:
        return Result(events=(_note(pod, "Cancelling deletion"),)) if context.waiting else DONE
    left = (end - context.now).total_seconds()
    return Result(requeue_after=left) if left > 0 else _evict(pod, context)


def _ends(pod: Object, snapshot: Snapshot, now: datetime) -> Iterator[datetime]:
    """When each taint of the pod's devices drives it out."""
    for name in device_claims.names(pod):
        claim = snapshot.get(RESOURCECLAIMS, pod["metadata"]["namespace"], name)
        if claim is None or not device_claims.is_reserved_for(claim, pod):
            continue
        for result in _results(claim):
            for taint in _taints(result, snapshot):
                end = _end(taint, result.get("tolerations") or (), now)
                if end is not None:
                    yield end


def _results(claim: Object) -> Iterable[Object]:
    allocation = (claim.get("status") or {}).get("allocation") or {}
    found: Iterable[Object] = (allocation.get("devices") or {}).get("results") or ()
    return found


def _pool(result: Object) -> _Pool:
    return _Pool(result.get("driver", ""), result.get("pool", ""))


def _taints(result: Object, snapshot: Snapshot) -> Iterator[Object]:
    """The taints that drive pods from an allocated device."""
    slices = [each for each in snapshot.list(RESOURCESLICES) if _pool_of(each) == _pool(result)]
    newest = max((_generation(each) for each in slices), default=0)
    for each in slices:
        if _generation(each) != newest:
            continue
        for device in each["spec"].get("devices") or ():
            if device.get("name") == result.get("device"):
                yield from (taint for taint in device.get("taints") or () if taint.get("effect") == NO_EXECUTE)


def _pool_of(resource_slice: Object) -> _Pool:
    spec = resource_slice["spec"]
    return _Pool(spec.get("driver", ""), (spec.get("pool") or {}).get("name", ""))


def _generation(resource_slice: Object) -> int:
    return int((resource_slice["spec"].get("pool") or {}).get("generation") or 0)


def _end(taint: Object, tolerations: Iterable[Object], now: datetime) -> datetime | None:
    """When a taint's time is up; None if it is tolerated for ever. Of several tolerations the shortest counts."""
    added = timestamps.parse_optional(taint.get("timeAdded")) or now
    fitting = [each for each in tolerations if tolerates(each, taint)]
    if not fitting:
        return added
    seconds = [each["tolerationSeconds"] for each in fitting if each.get("tolerationSeconds") is not None]
    return added + timedelta(seconds=max(0, min(seconds))) if seconds else None


def _evict(pod: Object, context: Context) -> Result:
    meta = pod["metadata"]
    place = (PODS, meta["namespace"], meta["name"])
    condition = disruptions.target(pod, timestamps.seconds(context.now), reason=_REASON, message=_MESSAGE)
    patch = {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [condition]}}
    told = Patch(*place, patch, subresource="status", done=_note(pod, "Marking for deletion"))
    return Result((told, Delete(*place, uid=meta["uid"])))


def _note(pod: Object, message: str) -> EventNote:
    return EventNote(pod, "Normal", _EVENT, message)


def _woken_by_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A pod with claims that gets its node."""
    if new is None or not device_claims.of_pod(new) or not (new.get("spec") or {}).get("nodeName"):
        return ()
    had_node = old is not None and (old.get("spec") or {}).get("nodeName")
    return () if had_node else [key_of(PODS, new)]


def _woken_by_claim(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """The pods that an allocated claim is reserved for."""
    return _users([new] if new is not None and _results(new) else [])


def _woken_by_slice(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """The pods whose devices lie in the pool of a slice with taints, or that had some."""
    changed = [each for each in (old, new) if each is not None]
    if not any(device.get("taints") for each in changed for device in each["spec"].get("devices") or ()):
        return ()
    pools = {_pool_of(each) for each in changed}
    claims = [each for each in snapshot.list(RESOURCECLAIMS) if any(_pool(r) in pools for r in _results(each))]
    return _users(claims)


def _users(claims: Iterable[Object]) -> Iterable[Key]:
    return [
        Key(PODS, claim["metadata"]["namespace"], user["name"])
        for claim in claims
        for user in device_claims.reserved_for(claim)
        if user.get("resource") == "pods"
    ]


CONTROLLER = Controller(
    name="device-taint-eviction-controller",
    component="device_taint_eviction",
    resource=PODS,
    watches=(
        Watch(PODS, _woken_by_pod),
        Watch(RESOURCECLAIMS, _woken_by_claim),
        Watch(RESOURCESLICES, _woken_by_slice),
    ),
    writes=("patch pods/status", "delete pods"),
    reconcile=reconcile,
)
