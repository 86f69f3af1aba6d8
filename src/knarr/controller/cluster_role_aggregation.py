"""ClusterRoles that gather the rules of others.

Input: a ClusterRole with an aggregation rule, all ClusterRoles. Output: its rules: those of the selected roles, in the
order of their names, each once.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import CLUSTERROLES
from knarr.apimachinery import labels
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, Patch, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of
from knarr.controller_runtime.snapshot import Key, Snapshot

_NAME = "clusterrole-aggregation-controller"
_APPLY = "application/apply-patch+yaml"


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Gather the rules of one ClusterRole."""
    role = snapshot.get(*key)
    if role is None or not role.get("aggregationRule"):
        return DONE
    rules = _gathered(role, snapshot)
    if rules == (role.get("rules") or []):
        return DONE
    body = {"apiVersion": CLUSTERROLES.api_version, "kind": CLUSTERROLES.kind, "metadata": {"name": key.name}}
    options = {"fieldManager": _NAME, "force": "true"}
    return Result((Patch(CLUSTERROLES, "", key.name, {**body, "rules": rules}, _APPLY, options=options),))


def _gathered(role: Object, snapshot: Snapshot) -> list[Object]:
    own = role["metadata"]["name"]
    others = sorted(snapshot.list(CLUSTERROLES), key=lambda item: str(item["metadata"]["name"]))
    rules: list[Object] = []
    for selector in role["aggregationRule"].get("clusterRoleSelectors") or ():
        matches = labels.from_object(selector).matches
        for other in others:
            if other["metadata"]["name"] != own and matches(other["metadata"].get("labels")):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


def _of_role(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """Any role may be part of those that gather."""
    if old is not None and new is not None and _relevant(old) == _relevant(new):
        return ()
    return [key_of(CLUSTERROLES, role) for role in snapshot.list(CLUSTERROLES) if role.get("aggregationRule")]


def _relevant(role: Object) -> tuple[object, ...]:
    return role["metadata"].get("labels"), role.get("rules"), role.get("aggregationRule")


CONTROLLER = Controller(
    name=_NAME,
    queue="ClusterRoleAggregator",
    resource=CLUSTERROLES,
    watches=(Watch(CLUSTERROLES, _of_role),),
    writes=("patch clusterroles",),
    reconcile=reconcile,
)
