"""The revisions of a set's template: the one that all pods had last, the one that they shall have, and those kept.

The template alone is remembered. A template that comes back is its old revision with a new number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from knarr.api.registry import CONTROLLERREVISIONS, STATEFULSETS
from knarr.api.semantics import revisions
from knarr.apimachinery.types import Object
from knarr.controller.statefulset import identity
from knarr.controller_runtime.changes import Change, Create, Delete, Update
from knarr.controller_runtime.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class History:
    """`current` and `update` are revisions as they are once all is carried out; `all` those there were.

    `created` must be there before pods are made of it; `renumbered` comes last, since a server may refuse it (where a
    user has written a revision with blanks in its data) and nothing else shall wait for that.
    """

    current: Object
    update: Object
    all: tuple[Object, ...]
    collisions: int
    created: tuple[Change, ...] = ()
    renumbered: tuple[Change, ...] = ()


def of(stateful_set: Object, held: Iterable[Object], snapshot: Snapshot) -> History:
    """The history, with a new revision or a new number of an old one where the template has changed."""
    known = revisions.ordered(held)
    status = stateful_set.get("status") or {}
    template = stateful_set["spec"]["template"]
    collisions = int(status.get("collisionCount") or 0)
    number = revisions.number(known[-1]) + 1 if known else 1
    same = [revision for revision in known if revisions.holds(revision, template)]
    created: tuple[Change, ...] = ()
    renumbered: tuple[Change, ...] = ()
    if same and same[-1] is known[-1]:
        update = same[-1]
    elif same:
        update = {**same[-1], "revision": number}
        renumbered = (Update(CONTROLLERREVISIONS, update),)
    else:
        update, collisions, created = _new(stateful_set, number, collisions, snapshot)
    named = (revision for revision in known if revision["metadata"]["name"] == status.get("currentRevision"))
    return History(next(named, update), update, tuple(known), collisions, created, renumbered)


def surplus(stateful_set: Object, history: History, pods: Iterable[Object]) -> list[Delete]:
    """The oldest revisions beyond those that are kept and that no pod has."""
    limit = stateful_set["spec"].get("revisionHistoryLimit")
    if limit is None or limit < 0:
        return []
    live = {identity.revision(pod) for pod in pods}
    live |= {history.current["metadata"]["name"], history.update["metadata"]["name"]}
    dead = [revision["metadata"] for revision in history.all if revision["metadata"]["name"] not in live]
    return [
        Delete(CONTROLLERREVISIONS, meta["namespace"], meta["name"], uid=meta["uid"]) for meta in _oldest(dead, limit)
    ]


def _oldest(dead: Sequence[Object], limit: int) -> Sequence[Object]:
    gone = [meta for meta in dead if meta.get("deletionTimestamp")]
    rest = [meta for meta in dead if not meta.get("deletionTimestamp")]
    return rest[: max(0, len(dead) - len(gone) - limit)]


def _new(
    stateful_set: Object, number: int, collisions: int, snapshot: Snapshot
) -> tuple[Object, int, tuple[Change, ...]]:
    """A new revision; where another one has its name, the collision is counted and hashed in."""
    meta, template = stateful_set["metadata"], stateful_set["spec"]["template"]
    data = revisions.data_of(template)
    first = revisions.revision_hash(data, collisions)
    while True:
        name = revisions.name_of(meta["name"], revisions.revision_hash(data, collisions))
        there = snapshot.get(CONTROLLERREVISIONS, meta["namespace"], name)
        if there is None:
            made = revisions.made(stateful_set, STATEFULSETS, name, (revisions.HASH_LABEL, first), number)
            return made, collisions, (Create(CONTROLLERREVISIONS, made),)
        if revisions.holds(there, template):
            return there, collisions, ()
        collisions += 1
