"""Namespaces under faults: the living have what all have, the deleted go when, and only when, all has gone."""

from __future__ import annotations

import pytest
from tests.fakes.api import Change
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import CONFIGMAPS, NAMESPACES, PODS, SECRETS, SERVICEACCOUNTS
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller import namespace, root_ca, service_account

KINDS = (PODS, CONFIGMAPS, SECRETS, SERVICEACCOUNTS)
CA = "kube-root-ca.crt"


class Sim:
    """Namespaces that come, fill, and are deleted; some of what is in them is held by others for a while."""

    def __init__(self, seed: int) -> None:
        ways = (namespace.controller(KINDS), service_account.CONTROLLER, root_ca.controller("PEM"))
        self.world = FaultyWorld(ways, seed)
        self.random, self.api, self.wrong = self.world.random, self.world.api, self.world.wrong
        self.count = 0
        self.api.listeners.append(self.on_change)

    def on_change(self, change: Change) -> None:
        resource, old, new, _ = change
        if resource is NAMESPACES and new is None and old is not None:
            left = self.content(old["metadata"]["name"])
            if left:
                self.wrong.append(f"namespace {old['metadata']['name']} went before {left}")
        if resource is not NAMESPACES and old is not None and new is None:
            self.check_order(old["metadata"].get("namespace", ""), old)

    def check_order(self, name: str, old: Object) -> None:
        """Nothing goes by the namespace's end while a pod is there."""
        space = self.api.objects[NAMESPACES].get(("", name))
        pods = self.api.list(PODS, name)
        if space is not None and going(space) and pods and old["kind"] == SECRETS.kind:
            self.wrong.append(f"{old['metadata']['name']} went before the pods of {name}")

    def content(self, name: str) -> list[str]:
        return [obj["metadata"]["name"] for kind in KINDS for obj in self.api.list(kind, name)]

    def happens(self) -> None:
        draw = self.random.random()
        spaces = list(self.api.list(NAMESPACES))
        if draw < 0.25 or not spaces:
            self.count += 1
            status, spec = {"phase": "Active"}, {"finalizers": ["kubernetes"]}
            self.api.put(NAMESPACES, {"metadata": {"name": f"n{self.count}"}, "spec": spec, "status": status})
        elif draw < 0.35:
            self.delete(self.random.choice(spaces))
        elif draw < 0.7:
            self.fill(self.random.choice(spaces))
        elif draw < 0.8:
            self.meddle(self.random.choice(spaces)["metadata"]["name"])
        else:
            self.let_go()

    def fill(self, space: Object) -> None:
        if going(space):
            return
        self.count += 1
        held = {"finalizers": ["hold.io/it"]} if self.random.random() < 0.3 else {}
        meta = {"name": f"o{self.count}", "namespace": space["metadata"]["name"], **held}
        kind = self.random.choice((PODS, CONFIGMAPS, SECRETS))
        self.api.create(kind, {"metadata": meta, **({"spec": {"nodeName": "n"}} if kind is PODS else {})})

    def delete(self, space: Object) -> None:
        """As the API does: the content may no more grow."""
        if going(space):
            return
        meta = {**space["metadata"], "deletionTimestamp": timestamps.seconds(self.world.clock.now())}
        self.api.update(NAMESPACES, {**space, "metadata": meta})
        self.api.set_status(NAMESPACES, "", meta["name"], phase="Terminating")

    def meddle(self, name: str) -> None:
        """Somebody deletes or changes what every namespace has."""
        account = (name, "default")
        if account in self.api.objects[SERVICEACCOUNTS] and self.random.random() < 0.5:
            self.api.remove(SERVICEACCOUNTS, account)
        elif (name, CA) in self.api.objects[CONFIGMAPS]:
            found = self.api.get(CONFIGMAPS, name, CA)
            self.api.update(CONFIGMAPS, {**found, "data": {"ca.crt": "other"}})

    def let_go(self) -> None:
        """The kubelet ends pods, and others let go what they held."""
        for kind in KINDS:
            for obj in list(self.api.list(kind)):
                meta = obj["metadata"]
                if not going(obj):
                    continue
                kept = {**obj, "metadata": {**meta, "finalizers": [], "deletionGracePeriodSeconds": None}}
                self.api.update(kind, kept)

    def is_done(self) -> bool:
        spaces = self.api.list(NAMESPACES)
        return not any(map(going, spaces)) and all(map(self.is_furnished, spaces))

    def is_furnished(self, space: Object) -> bool:
        name = space["metadata"]["name"]
        published = self.api.objects[CONFIGMAPS].get((name, CA))
        account = (name, "default") in self.api.objects[SERVICEACCOUNTS]
        return account and published is not None and published["data"] == {"ca.crt": "PEM"}


def going(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


@pytest.mark.parametrize("part", range(PARTS))
def test_namespaces_are_furnished_and_go_when_they_are_empty(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        for _ in range(2):
            for _ in range(60):
                await sim.world.step(sim.happens)
            await sim.world.rest(sim.let_go, sim.is_done)
        await sim.world.close()

    try_seeds(part, tell)
