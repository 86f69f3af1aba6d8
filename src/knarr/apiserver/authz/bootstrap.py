"""The bootstrap roles against those of the cluster: what must be written at start.

Input: what exists. Output: objects to create, update or replace. Nothing that an administrator added is taken
away, and an object whose annotation `autoupdate` is false is left alone.
Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#auto-reconciliation
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from knarr.api.bootstrap.cluster_roles import CLUSTER_ROLES
from knarr.api.bootstrap.rbac import GROUP, objects, rules_of
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.authz.covers import uncovered

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
#: What every kubelet may do besides what its pods open to it.
NODE_RULES: list[Object] = rules_of(CLUSTER_ROLES["system:node"])

_PLURALS = {
    "ClusterRole": "clusterroles",
    "Role": "roles",
    "ClusterRoleBinding": "clusterrolebindings",
    "RoleBinding": "rolebindings",
}


class Change(NamedTuple):
    """One write. `replace` stands for delete, then create: a binding's role cannot be changed."""

    action: Literal["create", "update", "replace"]
    resource: str
    obj: Object


def reconcile(reader: Reader, wanted: Iterable[Object] | None = None) -> Iterator[Change]:
    """What to write so that every bootstrap object (or those of `wanted`) exists with at least its contents."""
    for obj in objects() if wanted is None else wanted:
        resource = _PLURALS[obj["kind"]]
        meta = obj["metadata"]
        existing = reader.get(resource, GROUP, meta.get("namespace", ""), meta["name"])
        change = _compare(resource, existing, obj)
        if change is not None:
            yield change


def _compare(resource: str, existing: Object | None, wanted: Object) -> Change | None:
    if existing is None:
        return Change("create", resource, wanted)
    if (existing["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false":
        return None
    if "roleRef" in wanted and existing.get("roleRef") != wanted["roleRef"]:
        return Change("replace", resource, wanted)
    merged = dict(existing)
    merged["metadata"] = _merge_meta(existing["metadata"], wanted["metadata"])
    if "roleRef" in wanted:
        _merge_list(merged, wanted, "subjects")
    elif "aggregationRule" in wanted:
        rule = dict(existing.get("aggregationRule") or {})
        _merge_list(rule, wanted["aggregationRule"], "clusterRoleSelectors")
        merged["aggregationRule"] = rule
    else:
        missing = uncovered(existing.get("rules") or (), wanted["rules"])
        if missing:
            merged["rules"] = [*(existing.get("rules") or ()), *missing]
    return Change("update", resource, merged) if merged != existing else None


def _merge_meta(existing: Object, wanted: Object) -> Object:
    merged = dict(existing)
    for part in ("labels", "annotations"):
        merged[part] = {**wanted[part], **(existing.get(part) or {})}
    return merged


def _merge_list(target: Object, wanted: Object, field: str) -> None:
    have = target.get(field) or []
    missing = [item for item in wanted.get(field) or () if item not in have]
    if missing:
        target[field] = [*have, *missing]
