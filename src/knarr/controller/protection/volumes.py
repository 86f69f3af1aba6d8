"""Volumes stay while a claim is bound to them.

Input: a volume. Output: it with its finalizer, or without once it is being deleted and not bound.
"""

from __future__ import annotations

from knarr.api.registry import PVS
from knarr.controller_runtime import finalizers
from knarr.controller_runtime.changes import DONE, Context, Result
from knarr.controller_runtime.controller import Controller, Watch, itself
from knarr.controller_runtime.snapshot import Key, Snapshot

_FINALIZER = "kubernetes.io/pv-protection"


def _reconcile(key: Key, snapshot: Snapshot, _context: Context) -> Result:
    volume = snapshot.get(*key)
    if volume is None:
        return DONE
    if not volume["metadata"].get("deletionTimestamp"):
        return finalizers.added(PVS, volume, _FINALIZER)
    bound = (volume.get("status") or {}).get("phase") == "Bound"
    return DONE if bound or not finalizers.is_held(volume, _FINALIZER) else finalizers.removed(PVS, volume, _FINALIZER)


CONTROLLER = Controller(
    name="pv-protection-controller",
    queue="pvprotection",
    resource=PVS,
    watches=(Watch(PVS, itself(PVS)),),
    writes=("update persistentvolumes",),
    reconcile=_reconcile,
)
