"""How many pods there should be, by the workloads that a budget's pods belong to.

Input: pods, the workloads that the watches show, live answers about others (custom resources with a `scale`). Output:
the sum of their replicas, or what has to be looked up first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from knarr.api.registry import DEPLOYMENTS, REPLICASETS, REPLICATIONCONTROLLERS, STATEFULSETS
from knarr.api.resources import Resource
from knarr.api.semantics import owners
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import Document, Lookup
from knarr.controller_runtime.snapshot import Snapshot

#: Workloads whose size the watches show, by (kind, group).
WATCHED: Mapping[tuple[str, str], Resource] = {
    ("ReplicationController", ""): REPLICATIONCONTROLLERS,
    ("ReplicaSet", "apps"): REPLICASETS,
    ("Deployment", "apps"): DEPLOYMENTS,
    ("StatefulSet", "apps"): STATEFULSETS,
}
Live: TypeAlias = Mapping[Lookup, Object | None]
#: The uid and size of a workload.
Scale: TypeAlias = tuple[str, int]


class Uncountable(Exception):
    """Nobody says how many pods there should be; its text says why."""


class _Unread(Exception):
    """Something must be looked up first."""


@dataclass(slots=True)
class Count:
    """What was found: the sum, whether a pod belongs to nothing, and what must be looked up before the sum counts."""

    expected: int = 0
    unmanaged: bool = False
    reads: dict[Lookup, None] = field(default_factory=dict)


def count(pods: Sequence[Object], snapshot: Snapshot, live: Live) -> Count:
    """The replicas of all workloads that the pods belong to; a pod without one counts for none.

    Raises `Uncountable`.
    """
    found, scales = Count(), dict[str, int]()
    known: set[str] = set()
    for pod in pods:
        owner = owners.controller_of(pod)
        if owner is None:
            found.unmanaged = True
        elif owner["uid"] not in known:
            known.add(owner["uid"])
            _take(pod, owner, scales, _Looking(snapshot, live, found.reads))
    found.expected = sum(scales.values())
    return found


@dataclass(frozen=True, slots=True)
class _Looking:
    """Where to look; `reads` takes what was needed, answered or not."""

    snapshot: Snapshot
    live: Live
    reads: dict[Lookup, None]

    def answer(self, path: str) -> Object | None:
        """What stands under a path. Raises `_Unread`."""
        wanted = Document(path)
        self.reads[wanted] = None
        if wanted not in self.live:
            raise _Unread
        return self.live[wanted]


def unanswered(found: Count, live: Live) -> tuple[Lookup, ...]:
    """All lookups, if one of them has no answer yet: answers are kept for one round only."""
    return tuple(found.reads) if any(read not in live for read in found.reads) else ()


def _take(pod: Object, owner: Object, scales: dict[str, int], looking: _Looking) -> None:
    namespace = pod["metadata"]["namespace"]
    try:
        scale = _watched(owner, namespace, looking.snapshot) or _scale(owner, namespace, looking)
    except _Unread:
        return
    if scale is None:
        raise Uncountable(f'found no controllers for pod "{pod["metadata"]["name"]}"')
    scales[scale[0]] = scale[1]


def _watched(owner: Object, namespace: str, snapshot: Snapshot) -> Scale | None:
    """The workload that an owner reference stands for; of a Deployment's ReplicaSet the Deployment."""
    resource = WATCHED.get((owner["kind"], parse_api_version(owner["apiVersion"])[0]))
    found = None if resource is None else snapshot.get(resource, namespace, owner["name"])
    if found is None or found["metadata"]["uid"] != owner["uid"]:
        return None
    above = owners.controller_of(found)
    if resource is REPLICASETS and above is not None and above["kind"] == "Deployment":
        return _watched(above, namespace, snapshot)
    return found["metadata"]["uid"], int((found.get("spec") or {}).get("replicas", 1))


def _scale(owner: Object, namespace: str, looking: _Looking) -> Scale | None:
    """The size that a resource's `scale` tells. Raises `_Unread`, `Uncountable`."""
    version, kind = owner["apiVersion"], owner["kind"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    served = (looking.answer(root) or {}).get("resources") or ()
    plural = next((item["name"] for item in served if item["kind"] == kind and "/" not in item["name"]), None)
    if plural is None:
        raise Uncountable(f'no matches for kind "{kind}" in version "{version}"')
    if not any(item["name"] == f"{plural}/scale" for item in served):
        group = parse_api_version(version)[0]
        raise Uncountable(f"{plural}{'.' if group else ''}{group} does not implement the scale subresource")
    scale = looking.answer(f"{root}/namespaces/{namespace}/{plural}/{owner['name']}/scale")
    if scale is None or scale["metadata"].get("uid") != owner["uid"]:
        return None
    return owner["uid"], int((scale.get("spec") or {}).get("replicas") or 0)
