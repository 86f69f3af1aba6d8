"""Service accounts: every active namespace has the one called `default`.

Input: a namespace. Output: the service account, where it is missing.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import NAMESPACES, SERVICEACCOUNTS
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, Create, Result
from knarr.controller_runtime.controller import Controller, Watch, itself
from knarr.controller_runtime.snapshot import Key, Snapshot

_NAME = "default"


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Create the namespace's default service account."""
    namespace = snapshot.get(*key)
    if namespace is None or (namespace.get("status") or {}).get("phase") != "Active":
        return DONE
    if snapshot.get(SERVICEACCOUNTS, key.name, _NAME) is not None:
        return DONE
    meta = {"name": _NAME, "namespace": key.name}
    return Result((Create(SERVICEACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),))


def _namespace_of(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """The end of a default account wakes its namespace."""
    if new is not None or old is None or old["metadata"]["name"] != _NAME:
        return ()
    return [Key(NAMESPACES, "", old["metadata"]["namespace"])]


CONTROLLER = Controller(
    name="service-account-controller",
    queue="serviceaccount",
    resource=NAMESPACES,
    watches=(Watch(NAMESPACES, itself(NAMESPACES)), Watch(SERVICEACCOUNTS, _namespace_of)),
    writes=("create serviceaccounts",),
    reconcile=reconcile,
)
