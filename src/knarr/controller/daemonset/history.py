"""The revisions of a DaemonSet's template: the one that its pods shall have, and those before.

Input: a set's revisions. Output: the current one's hash, the old ones, and changes that leave one revision for the
present template, with the highest number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from knarr.api.registry import CONTROLLERREVISIONS, DAEMONSETS, PODS
from knarr.api.semantics import pod_templates, revisions
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import Change, Create, Delete, Patch, Update
from knarr.controller_runtime.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class History:
    """`hash` is the label of pods of the present template; `old` the revisions before, the oldest first.

    `changes` come before pods are made; `rewritten` comes last, since a server may refuse it (where a user has written
    a revision with blanks in its data) and nothing else shall wait for that.
    """

    hash: str
    old: tuple[Object, ...]
    collisions: int
    changes: tuple[Change, ...] = ()
    rewritten: tuple[Change, ...] = ()


def of(daemon_set: Object, held: Iterable[Object], pods: Sequence[Object], snapshot: Snapshot) -> History:
    """The history, with what must be written of it."""
    template = daemon_set["spec"]["template"]
    known = [_labelled(revision) for revision in revisions.ordered(held)]
    unlabelled = {revision["metadata"]["name"]: revision for revision, changed in known if changed}
    same = [revision for revision, _ in known if revisions.holds(revision, template)]
    old = tuple(revision for revision, _ in known if not revisions.holds(revision, template))
    collisions = int((daemon_set.get("status") or {}).get("collisionCount") or 0)
    number = max((revisions.number(revision) for revision in old), default=0) + 1
    if not same:
        made, collisions, created = _new(daemon_set, number, collisions, snapshot)
        return History(hash_of(made), old, collisions, created, _updates(unlabelled))
    current = same[-1]
    merged = [change for double in same[:-1] for change in _merged(double, current, pods)]
    for double in same[:-1]:
        unlabelled.pop(double["metadata"]["name"], None)
    if revisions.number(current) < number:
        unlabelled[current["metadata"]["name"]] = {**current, "revision": number}
    return History(hash_of(current), old, collisions, tuple(merged), _updates(unlabelled))


def _updates(rewritten: Mapping[str, Object]) -> tuple[Change, ...]:
    return tuple(Update(CONTROLLERREVISIONS, revision) for revision in rewritten.values())


def surplus(daemon_set: Object, history: History, pods: Iterable[Object]) -> list[Delete]:
    """The oldest revisions beyond those that are kept and that no pod has."""
    limit = daemon_set["spec"].get("revisionHistoryLimit")
    alive = [revision for revision in history.old if not revision["metadata"].get("deletionTimestamp")]
    if limit is None or len(alive) <= limit:
        return []
    live = {pod_hash(pod) for pod in pods}
    dead = [revision for revision in alive if hash_of(revision) not in live]
    return [_delete(revision) for revision in dead[: len(alive) - limit]]


def hash_of(revision: Object) -> str:
    """The hash in a revision's labels."""
    return str((revision["metadata"].get("labels") or {}).get(revisions.POD_LABEL, ""))


def pod_hash(pod: Object) -> str:
    """The hash of the revision a pod was made of."""
    return str((pod["metadata"].get("labels") or {}).get(revisions.POD_LABEL, ""))


def _labelled(revision: Object) -> tuple[Object, bool]:
    """A revision with the label of its pods, and whether it had none: then its name will do."""
    if hash_of(revision):
        return revision, False
    meta = revision["metadata"]
    labels = {**(meta.get("labels") or {}), revisions.POD_LABEL: meta["name"]}
    return {**revision, "metadata": {**meta, "labels": labels}}, True


def _merged(double: Object, current: Object, pods: Iterable[Object]) -> list[Change]:
    """One of two revisions of the same template goes; its pods are counted as the other's."""
    label = {"metadata": {"labels": {revisions.POD_LABEL: hash_of(current)}}}
    named = [pod["metadata"] for pod in pods if pod_hash(pod) == hash_of(double)]
    moved: list[Change] = [Patch(PODS, meta["namespace"], meta["name"], label) for meta in named]
    return [*moved, _delete(double)]


def _delete(revision: Object) -> Delete:
    meta = revision["metadata"]
    return Delete(CONTROLLERREVISIONS, meta["namespace"], meta["name"], uid=meta["uid"])


def _new(
    daemon_set: Object, number: int, collisions: int, snapshot: Snapshot
) -> tuple[Object, int, tuple[Change, ...]]:
    """A new revision; where another one has its name, the collision is counted and hashed in."""
    meta, template = daemon_set["metadata"], daemon_set["spec"]["template"]
    while True:
        hashed = pod_templates.template_hash(template, collisions)
        there = snapshot.get(CONTROLLERREVISIONS, meta["namespace"], f"{meta['name']}-{hashed}")
        if there is None:
            label = (revisions.POD_LABEL, hashed)
            made = revisions.made(daemon_set, DAEMONSETS, f"{meta['name']}-{hashed}", label, number)
            return made, collisions, (Create(CONTROLLERREVISIONS, made),)
        if revisions.holds(there, template) and hash_of(there):
            return there, collisions, ()
        collisions += 1
