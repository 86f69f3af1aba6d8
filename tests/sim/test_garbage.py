"""Garbage collection under faults.

Whatever happens, nothing goes whose owner lives, dependents that block hold their owner, orphans stay; and in the end
nothing is left of which every owner is gone.
"""

from __future__ import annotations

import pytest
from tests.fakes.api import Change
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import CONFIGMAPS, SECRETS
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.controller import garbage_collector

KINDS = (CONFIGMAPS, SECRETS)
NS = "default"


class Sim:
    """Owners and dependents that come and go; what a user deletes is known here."""

    def __init__(self, seed: int) -> None:
        self.world = FaultyWorld((garbage_collector.controller(KINDS),), seed)
        self.random, self.api, self.wrong = self.world.random, self.world.api, self.world.wrong
        self.count = 0
        #: uids that a user deleted.
        self.deleted: set[str] = set()
        #: uids that lost an owner by policy Orphan, with the uid of that owner.
        self.orphans: dict[str, str] = {}
        #: By uid of an owner deleted in the foreground: who must go before it, or have another owner and drop this one.
        self.blocking: dict[str, set[str]] = {}
        self.api.listeners.append(self.on_change)

    def all(self) -> list[tuple[Resource, Object]]:
        return [(resource, obj) for resource in KINDS for obj in self.api.list(resource)]

    def by_uid(self) -> dict[str, Object]:
        return {obj["metadata"]["uid"]: obj for _, obj in self.all()}

    def on_change(self, change: Change) -> None:
        _, old, new, _ = change
        if new is not None or old is None:
            return
        uid, present = old["metadata"]["uid"], self.by_uid()
        held = self.blocking.get(uid, set()) & set(present)
        # A circle of owners is broken by taking the block back.
        blocks = (item for name in held for item in references(present[name]) if item.get("blockOwnerDeletion"))
        if any(item["uid"] == uid for item in blocks):
            self.wrong.append(f"{uid} went before what blocks it")
        if uid in self.deleted:
            return
        owners = [present.get(reference["uid"]) for reference in references(old)]
        if not owners:
            self.wrong.append(f"{uid} went though it has no owner")
        if any(owner is not None and not is_waiting(owner) for owner in owners):
            self.wrong.append(f"{uid} went though an owner lives")

    def happens(self) -> None:
        """A user makes something, with up to two owners, or deletes something."""
        if self.random.random() < 0.7 or not self.all():
            self.create()
        else:
            self.delete()

    def create(self) -> None:
        self.count += 1
        living = [item for item in self.all() if not item[1]["metadata"].get("deletionTimestamp")]
        chosen = self.random.sample(living, min(len(living), self.random.choice([0, 1, 1, 2])))
        owned = [
            {
                "apiVersion": "v1",
                "kind": resource.kind,
                "name": obj["metadata"]["name"],
                "uid": obj["metadata"]["uid"],
                **({"blockOwnerDeletion": True} if self.random.random() < 0.5 else {}),
            }
            for resource, obj in chosen
        ]
        meta = {"name": f"o{self.count}", "namespace": NS, **({"ownerReferences": owned} if owned else {})}
        self.api.create(self.random.choice(KINDS), {"metadata": meta})

    def delete(self) -> None:
        resource, obj = self.random.choice(self.all())
        uid = obj["metadata"]["uid"]
        if obj["metadata"].get("deletionTimestamp"):
            return
        policy = self.random.choice(["Background", "Foreground", "Orphan"])
        # Whoever is not yet known to depend on it cannot be considered; Kubernetes does not promise it either.
        self.world.world.informers.deliver_all()
        dependents = {
            other["metadata"]["uid"]: reference
            for _, other in self.all()
            for reference in references(other)
            if reference["uid"] == uid
        }
        self.deleted.add(uid)
        if policy == "Orphan":
            self.orphans |= dict.fromkeys(dependents, uid)
        if policy == "Foreground":
            self.blocking[uid] = {name for name, item in dependents.items() if item.get("blockOwnerDeletion")}
        self.api.delete(resource, (NS, obj["metadata"]["name"]), {"propagationPolicy": policy})

    def is_done(self) -> bool:
        present = self.by_uid()
        if self.deleted & set(present):
            return False
        owners = [[item["uid"] in present for item in references(obj)] for obj in present.values()]
        return all(any(found) or not found for found in owners)

    def check_orphans(self) -> None:
        """Who was orphaned and has not gone for another reason no longer names its owner."""
        for uid, obj in self.by_uid().items():
            assert self.orphans.get(uid) not in {item["uid"] for item in references(obj)}, f"{uid} names its owner"


def references(obj: Object) -> list[Object]:
    found: list[Object] = obj["metadata"].get("ownerReferences") or []
    return found


def is_waiting(obj: Object) -> bool:
    meta = obj["metadata"]
    return bool(meta.get("deletionTimestamp")) and "foregroundDeletion" in (meta.get("finalizers") or ())


@pytest.mark.parametrize("part", range(PARTS))
def test_garbage_goes_and_nothing_else(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        for _ in range(2):
            for _ in range(80):
                await sim.world.step(sim.happens)
            await sim.world.rest(lambda: None, sim.is_done)
            sim.check_orphans()
        await sim.world.close()

    try_seeds(part, tell)
