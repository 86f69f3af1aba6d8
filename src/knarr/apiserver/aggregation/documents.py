"""What other API servers say they serve, in the forms in which this one passes it on. Pure.

Input: their documents, which may be anything. Output: entries of discovery; what makes no sense is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from knarr.api.bootstrap.system import CUSTOM_PRIORITY
from knarr.apimachinery.types import Object
from knarr.apiserver.aggregation.routes import Route

_TEXTS = ("name", "kind", "singularName", "group", "version")


class Other(NamedTuple):
    """A group-version of another server in discovery. `fresh` tells that it answered when it was last asked."""

    route: Route
    resources: tuple[Object, ...]
    fresh: bool


def resources(found: Object) -> tuple[Object, ...]:
    """The well-formed entries of an `APIResourceList`."""
    entries = found.get("resources")
    return tuple(one for one in entries if _is_entry(one)) if isinstance(entries, list) else ()


def _is_entry(one: Any) -> bool:
    if not isinstance(one, dict) or not one.get("name"):
        return False
    lists = (one.get(name) or [] for name in ("verbs", "shortNames", "categories"))
    return all(isinstance(one.get(name, ""), str) for name in _TEXTS) and all(isinstance(each, list) for each in lists)


def aggregated(other: Other) -> Object:
    """The `APIVersionDiscovery` of a group-version."""
    out: dict[str, Object] = {}
    for one in other.resources:
        plural, _, part = one["name"].partition("/")
        if not part:
            out.setdefault(plural, {}).update(_whole(one, other.route))
    for one in other.resources:
        plural, _, part = one["name"].partition("/")
        if part:
            # A subresource may stand alone.
            whole = out.setdefault(plural, {"resource": plural, "scope": _scope(one)})
            whole.setdefault("subresources", []).append(_part(part, one, other.route))
    found: Object = {"version": other.route.version}
    if out:
        found["resources"] = list(out.values())
    found["freshness"] = "Current" if other.fresh else "Stale"
    return found


def _whole(one: Object, route: Route) -> Object:
    out: Object = {
        "resource": one["name"],
        "responseKind": _kind(one, route),
        "scope": _scope(one),
        "singularResource": one.get("singularName", ""),
        "verbs": one.get("verbs") or [],
    }
    for name in ("shortNames", "categories"):
        if one.get(name):
            out[name] = one[name]
    return out


def _part(name: str, one: Object, route: Route) -> Object:
    return {"subresource": name, "responseKind": _kind(one, route), "verbs": one.get("verbs") or []}


def _kind(one: Object, route: Route) -> Object:
    group, version = one.get("group") or route.group, one.get("version") or route.version
    return {"group": group, "version": version, "kind": one.get("kind", "")}


def _scope(one: Object) -> str:
    return "Namespaced" if one.get("namespaced") else "Cluster"


def merged_groups(
    own: Iterable[tuple[str, list[str]]], priorities: Object, others: Iterable[Other]
) -> list[tuple[str, list[str]]]:
    """Groups with their versions in discovery order: this server's own in theirs, the others' by priority.

    `priorities` are those of own groups; a group that is not named has that of custom resources.
    """
    out = [(group, list(versions), int(priorities.get(group, CUSTOM_PRIORITY))) for group, versions in own]
    ordered = sorted(others, key=lambda one: (-one.route.group_priority, one.route.group, -one.route.version_priority))
    for other in ordered:
        group, version, priority = other.route.group, other.route.version, other.route.group_priority
        known = next((versions for name, versions, _ in out if name == group), None)
        if known is not None:
            known.extend([version] if version not in known else [])
            continue
        at = next((at for at, (name, _, rank) in enumerate(out) if (-rank, name) > (-priority, group)), len(out))
        out.insert(at, (group, [version], priority))
    return [(group, versions) for group, versions, _ in out]
