"""Says what the ResourceQuotas of a namespace allow and what has been used of them.

Input: a quota, the objects of its namespace that it counts. Output: its status. Admission charges a quota before it
stores an object; this controller counts anew what is there: when something has gone, when the quota itself changes, and
from time to time. Invariant: use is lowered only when the quota has been quiet for a moment, so that what has been
charged and is not stored yet is not forgotten.
Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from knarr.api.registry import RESOURCEQUOTAS
from knarr.api.resources import Resource
from knarr.api.semantics.quota_usage import IGNORED, Measure, measure
from knarr.api.semantics.resource_lists import Resources, added, largest, only, parsed, shown, zeros
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, Result, Update
from knarr.controller_runtime.controller import Controller, Dynamic, KeysOf, Watch, key_of, nobody
from knarr.controller_runtime.snapshot import Key, Snapshot

#: Seconds after which everything is counted again.
_RESYNC = 300.0
#: Seconds after which a quota that has just changed is looked at again: what was on its way is there then.
_RECHECK = 5.0
#: Seconds for which a quota must not have changed before its use is lowered.
_QUIET = 0.5
_EPOCH = datetime.fromtimestamp(0, UTC)


def controller(resources: Iterable[Resource]) -> Controller:
    """The controller that counts objects of these resources."""
    counted = [item for item in resources if (item.plural, item.group) not in IGNORED]
    watches = [Watch(resource, _freed(resource)) for resource in counted if resource is not RESOURCEQUOTAS]
    freed = _freed(RESOURCEQUOTAS)

    def of_quota(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
        changed = new is not None and (old is None or _limits(old) != _limits(new))
        return [key_of(RESOURCEQUOTAS, new)] if changed and new else freed(old, new, snapshot)

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        quota = snapshot.get(*key)
        return DONE if quota is None else _counted(quota, counted, snapshot, context)

    def add(resource: Resource) -> Watch:
        if resource.namespaced:
            counted.append(resource)
        return Watch(resource, _freed(resource) if resource.namespaced else nobody)

    def remove(resource: Resource) -> None:
        if resource in counted:
            counted.remove(resource)

    return Controller(
        name="resourcequota-controller",
        queue="resourcequota_primary",
        resource=RESOURCEQUOTAS,
        watches=(Watch(RESOURCEQUOTAS, of_quota, timed=True), *watches),
        writes=("update resourcequotas/status",),
        reconcile=reconcile,
        dynamic=Dynamic(add, remove),
    )


def _limits(quota: Object) -> Mapping[str, object]:
    return (quota.get("spec") or {}).get("hard") or {}


def _freed(resource: Resource) -> KeysOf:
    """Wakes the quotas of which an object that is gone, or uses something else now, has used something."""
    found = measure(resource.plural, resource.group)

    def keys(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
        if old is None:
            return ()
        quotas = snapshot.list(RESOURCEQUOTAS, old["metadata"].get("namespace", ""))
        concerned = [quota for quota in quotas if found.counted(_limits(quota))]
        if concerned and new is not None and found.usage(old, _EPOCH) == found.usage(new, _EPOCH):
            concerned = [quota for quota in concerned if found.covers(quota, old) != found.covers(quota, new)]
        return [key_of(RESOURCEQUOTAS, quota) for quota in concerned]

    return keys


def _counted(quota: Object, resources: Sequence[Resource], snapshot: Snapshot, context: Context) -> Result:
    meta, status = quota["metadata"], quota.get("status") or {}
    hard, known = parsed(_limits(quota)), parsed(status.get("used"))
    used = {**only(known, hard), **_usage(quota, resources, snapshot, context.now)}
    wait = _RESYNC
    if any(name in used and used[name] < value for name, value in known.items()) and not _is_quiet(meta, context):
        used, wait = largest(used, only(known, hard)), _QUIET
    if used == known and parsed(status.get("hard")) == hard:
        return Result(requeue_after=wait)
    new = {**quota, "status": {**status, "hard": shown(hard), "used": shown(used)}}
    return Result((Update(RESOURCEQUOTAS, new, "status"),), requeue_after=min(wait, _RECHECK))


def _is_quiet(meta: Object, context: Context) -> bool:
    since = context.seen(RESOURCEQUOTAS, meta["namespace"], meta["name"])
    return since is None or (context.now - since).total_seconds() >= _QUIET


def _usage(quota: Object, resources: Sequence[Resource], snapshot: Snapshot, now: datetime) -> Resources:
    """What is used of everything that a quota limits and somebody counts."""
    total: Resources = {}
    for resource in resources:
        found = measure(resource.plural, resource.group)
        names = found.counted(_limits(quota))
        if names:
            objects = snapshot.list(resource, quota["metadata"]["namespace"])
            total = {**total, **_sum(quota, found, objects, now, names)}
    return total


def _sum(quota: Object, found: Measure, objects: Sequence[Object], now: datetime, names: Sequence[str]) -> Resources:
    total: Resources = zeros(names)
    for obj in objects:
        if found.covers(quota, obj):
            total = added(total, only(found.usage(obj, now), names))
    return total
