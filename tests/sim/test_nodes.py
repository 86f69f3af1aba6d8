"""Nodes that fall silent and come back, under faults: who goes, who stays, and how fast.

Whatever happens, no pod goes that tolerates what its node says, and of a zone at most one node in ten seconds is given
the taint that evicts; in the end silent nodes are tainted and emptied, the others are not.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from tests.fakes.api import Change
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import LEASES, NODES, PODS
from knarr.api.semantics import taints
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller import node_lifecycle, pod_gc, taint_eviction

NS, BEATS = "default", "kube-node-lease"
NAMES = [f"{zone}{number}" for zone in "ab" for number in range(3)]


class Sim:
    """Six nodes of two zones, some of them silent; pods that put up with it, for a while, or not."""

    def __init__(self, seed: int) -> None:
        ways = (node_lifecycle.controller(), taint_eviction.CONTROLLER, pod_gc.controller())
        self.world = FaultyWorld(ways, seed)
        self.random, self.api, self.wrong = self.world.random, self.world.api, self.world.wrong
        self.count = 0
        self.silent: set[str] = set()
        self.gone: set[str] = set()
        self.tainted: dict[str, tuple[str, datetime]] = {}
        self.api.listeners.append(self.on_change)
        for name in NAMES:
            self.add_node(name)

    def now(self) -> str:
        return timestamps.seconds(self.world.clock.now())

    def add_node(self, name: str) -> None:
        condition = {
            "type": "Ready",
            "status": "True",
            "lastTransitionTime": self.now(),
            "lastHeartbeatTime": self.now(),
        }
        meta = {"name": name, "labels": {"topology.kubernetes.io/zone": name[0]}}
        self.api.put(NODES, {"metadata": meta, "spec": {}, "status": {"conditions": [condition]}})
        self.beat(name)

    def beat(self, name: str) -> None:
        """The kubelet renews its Lease, and says that it is ready."""
        spec = {"renewTime": timestamps.micro(self.world.clock.now())}
        lease = {"metadata": {"name": name, "namespace": BEATS}, "spec": spec}
        if (BEATS, name) in self.api.objects[LEASES]:
            self.api.update(LEASES, lease)
        else:
            self.api.create(LEASES, lease)
        node = self.api.objects[NODES].get(("", name))
        if node is not None and ready(node) != "True":
            condition = {"type": "Ready", "status": "True", "lastTransitionTime": self.now()}
            self.api.set_status(NODES, "", name, conditions=[condition])

    def on_change(self, change: Change) -> None:
        resource, old, new, _ = change
        if resource is NODES and new is not None:
            self.check_taint(old, new)
        if resource is PODS and old is not None and (new is None or going(new)) and not going(old):
            self.check_eviction(old)

    def check_taint(self, old: Object | None, new: Object) -> None:
        keys = [{taint["key"] for taint in taints.evicting(node)} for node in (old, new) if node is not None]
        if not keys[-1] or keys[0]:
            return
        name, now = new["metadata"]["name"], self.world.clock.now()
        before, since = self.tainted.get(name[0], ("", now))
        last = self.api.objects[NODES].get(("", before))
        # One that was let off again gives its turn to the next.
        if before != name and last is not None and taints.evicting(last) and now - since < timedelta(seconds=9):
            self.wrong.append(f"{name} tainted {now - since} after {before}")
        self.tainted[name[0]] = (name, now)

    def check_eviction(self, pod: Object) -> None:
        node = self.api.objects[NODES].get(("", pod["spec"]["nodeName"]))
        if node is None or pod["metadata"]["name"] in self.gone:
            return
        if pod["metadata"]["labels"]["patience"] == "endless":
            self.wrong.append(f"{pod['metadata']['name']} went though it tolerates everything")

    def happens(self) -> None:
        draw = self.random.random()
        if draw < 0.15:
            self.silent ^= {self.random.choice(NAMES)}
        elif draw < 0.4:
            self.create()
        elif draw < 0.5:
            self.world.clock.advance(self.random.choice([5.0, 20.0]))
        self.kubelets()

    def create(self) -> None:
        self.count += 1
        patience = self.random.choice(["endless", "short", "none"])
        toleration: Object = {"operator": "Exists", "effect": "NoExecute"}
        given = {"endless": [toleration], "short": [{**toleration, "tolerationSeconds": 30}], "none": []}[patience]
        meta = {"name": f"p{self.count}", "namespace": NS, "labels": {"patience": patience}}
        spec = {"nodeName": self.random.choice(NAMES), "tolerations": given}
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.api.put(PODS, {"metadata": meta, "spec": spec, "status": status})

    def kubelets(self) -> None:
        """Those that are not silent renew their Leases and end what is to go."""
        for name in NAMES:
            if name not in self.silent:
                self.beat(name)
        for pod in list(self.api.list(PODS)):
            if going(pod):
                self.gone.add(pod["metadata"]["name"])
                self.api.remove(PODS, (NS, pod["metadata"]["name"]))

    def is_done(self) -> bool:
        """The silent ones are tainted and empty of all that may go, unless all are silent; the others are clean."""
        lost = len(self.silent) == len(NAMES)
        evicting = {node["metadata"]["name"] for node in self.api.list(NODES) if taints.evicting(node)}
        unknown = {node["metadata"]["name"] for node in self.api.list(NODES) if ready(node) == "Unknown"}
        left = [pod for pod in self.api.list(PODS) if pod["metadata"]["labels"]["patience"] != "endless"]
        emptied = not any(pod["spec"]["nodeName"] in self.silent for pod in left)
        return unknown == self.silent and (not evicting if lost else evicting == self.silent and emptied)


def ready(node: Object) -> str:
    return next((str(item["status"]) for item in node["status"]["conditions"] if item["type"] == "Ready"), "")


def going(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


@pytest.mark.parametrize("part", range(PARTS))
def test_silent_nodes_are_emptied_and_no_others(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        for _ in range(2):
            for _ in range(60):
                await sim.world.step(sim.happens)
            await sim.world.rest(sim.kubelets, sim.is_done)
        await sim.world.close()

    try_seeds(part, tell)
