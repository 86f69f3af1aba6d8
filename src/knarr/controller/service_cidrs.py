"""Keeps the ranges of Service addresses: they are ready while they stand, and go only when no address needs them.

Input: a ServiceCIDR, the others, the IPAddresses. Output: its finalizer and its condition Ready. Invariant: a range
goes only if each address in it lies in another range, and not before the allocators have heard of its end.
Source: KEP-1880
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import timedelta
from typing import TypeAlias

from knarr.api.registry import IPADDRESSES, SERVICECIDRS
from knarr.api.semantics import conditions
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller_runtime import finalizers
from knarr.controller_runtime.changes import DONE, Context, Patch, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of
from knarr.controller_runtime.snapshot import Key, Snapshot

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_FINALIZER = "networking.k8s.io/service-cidr-finalizer"
_MANAGER = "service-cidr-controller"
_GRACE = timedelta(seconds=10)
_MANAGED = ("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io")
_IS_READY = "Kubernetes Service CIDR is ready"
_IS_USED = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Take the next step of a range."""
    found = snapshot.get(*key)
    if found is None:
        return DONE
    if found["metadata"].get("deletionTimestamp"):
        return _end(found, snapshot, context)
    added = finalizers.added(SERVICECIDRS, found, _FINALIZER)
    if added.changes:
        return added
    return DONE if _ready(found).get("status") == "True" else _tell(found, context, "True", "", _IS_READY)


def _end(found: Object, snapshot: Snapshot, context: Context) -> Result:
    if not finalizers.is_held(found, _FINALIZER):
        return DONE
    if _is_needed(found, snapshot):
        told = _ready(found)
        if told.get("status") == "False" and told.get("reason") == "Terminating":
            return DONE
        return _tell(found, context, "False", "Terminating", _IS_USED)
    left = timestamps.parse(found["metadata"]["deletionTimestamp"]) + _GRACE - context.now
    if left > timedelta(0):
        return Result(requeue_after=left.total_seconds())
    return finalizers.removed(SERVICECIDRS, found, _FINALIZER)


def _is_needed(found: Object, snapshot: Snapshot) -> bool:
    """Whether an address would lie in no range without this one."""
    others = [
        network
        for other in snapshot.list(SERVICECIDRS)
        if other["metadata"]["name"] != found["metadata"]["name"] and not other["metadata"].get("deletionTimestamp")
        for network in _networks(other)
    ]
    left = [network for network in _networks(found) if not any(_contains(other, network) for other in others)]
    if not left:
        return False
    for item in snapshot.list(IPADDRESSES):
        if (item["metadata"].get("labels") or {}).get(_MANAGED[0]) != _MANAGED[1]:
            continue
        address = ipaddress.ip_address(item["metadata"]["name"])
        if any(address in network for network in left) and not any(address in other for other in others):
            return True
    return False


def _contains(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _networks(obj: Object) -> list[Network]:
    return [ipaddress.ip_network(text) for text in (obj.get("spec") or {}).get("cidrs") or ()]


def _ready(found: Object) -> Object:
    return conditions.of_type(conditions.listed(found), "Ready") or {}


def _tell(found: Object, context: Context, status: str, reason: str, message: str) -> Result:
    condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
    condition["lastTransitionTime"] = timestamps.seconds(context.now)
    name = found["metadata"]["name"]
    body = {
        "apiVersion": SERVICECIDRS.api_version,
        "kind": SERVICECIDRS.kind,
        "metadata": {"name": name, "uid": found["metadata"]["uid"]},
        "status": {"conditions": [condition]},
    }
    return Result(
        (
            Patch(
                SERVICECIDRS,
                "",
                name,
                body,
                content_type="application/apply-patch+yaml",
                subresource="status",
                options={"fieldManager": _MANAGER, "force": "true"},
            ),
        )
    )


def _overlapping(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A range wakes itself and, when it comes or goes, those that end and that it overlaps."""
    changed = new or old or {}
    found = {key_of(SERVICECIDRS, changed)} if new is not None else set()
    mine = _networks(changed)
    for other in snapshot.list(SERVICECIDRS):
        overlaps = any(one.overlaps(two) for one in mine for two in _networks(other) if one.version == two.version)
        if other["metadata"].get("deletionTimestamp") and overlaps:
            found.add(key_of(SERVICECIDRS, other))
    return found


def _of_address(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """An address that is gone wakes the ranges that end and that it lay in."""
    if new is not None or old is None:
        return ()
    address = ipaddress.ip_address(old["metadata"]["name"])
    ending = [each for each in snapshot.list(SERVICECIDRS) if each["metadata"].get("deletionTimestamp")]
    return [key_of(SERVICECIDRS, each) for each in ending if any(address in network for network in _networks(each))]


CONTROLLER = Controller(
    name="service-cidrs-controller",
    resource=SERVICECIDRS,
    watches=(Watch(SERVICECIDRS, _overlapping), Watch(IPADDRESSES, _of_address)),
    writes=("update servicecidrs", "patch servicecidrs/status"),
    reconcile=reconcile,
)
