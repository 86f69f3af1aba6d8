"""Rollouts under faults: late and broken watches, lost requests and answers, crashes after any change.

Whatever happens, there are never more pods than asked for and the surge allows, availability is never given up beyond
what is allowed, and in the end everything is as asked for.
"""

from __future__ import annotations

from collections import Counter

import pytest
from tests.fakes.api import Change
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import DEPLOYMENTS, PODS, REPLICASETS
from knarr.api.resources import Resource
from knarr.api.semantics import pod_state
from knarr.apimachinery import intstr, timestamps
from knarr.apimachinery.types import Object
from knarr.controller import deployment
from knarr.controller.replicas import replicaset

BOTH = (deployment.CONTROLLER, replicaset.CONTROLLER)


class Sim:
    """A cluster whose every step is drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.world = FaultyWorld(BOTH, seed)
        self.random, self.api, self.wrong = self.world.random, self.world.api, self.world.wrong
        #: The most pods that any size and surge asked for since the last rest allowed.
        self.bound = 0
        #: The largest size of each ReplicaSet since the last rest.
        self.sizes: Counter[str] = Counter()
        self.api.listeners.append(self.on_change)

    def on_change(self, change: Change) -> None:
        resource, old, new, _ = change
        if resource is REPLICASETS and new is not None:
            uid = new["metadata"]["uid"]
            self.sizes[uid] = max(self.sizes[uid], new["spec"]["replicas"])
        self.check_create(resource, old, new)
        self.check()

    def spec(self) -> Object:
        found: Object = self.api.get(DEPLOYMENTS, "default", "web")["spec"]
        return found

    def apply(self) -> None:
        """A user creates or changes the Deployment."""
        replicas = self.random.randint(0, 6)
        bounds: list[tuple[int | str, int | str]] = [(1, 0), (0, 1), (2, 1), ("25%", "25%"), ("50%", 0)]
        surge, unavailable = self.random.choice(bounds)
        spec: Object = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "minReadySeconds": self.random.choice([0, 0, 3]),
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": f"nginx:{self.random.randint(1, 3)}"}]},
            },
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 2,
        }
        self.bound = max(self.bound, replicas + intstr.scaled(surge, replicas, round_up=True))
        if self.api.list(DEPLOYMENTS):
            self.api.change_spec(DEPLOYMENTS, "default", "web", **spec)
        else:
            meta = {"name": "web", "namespace": "default"}
            self.api.create(
                DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
            )

    def check(self) -> None:
        """Look at the cluster after a change; what is wrong is kept, since a request is no place to fail in."""
        sets = self.api.list(REPLICASETS)
        asked = sum(rs["spec"]["replicas"] for rs in sets)
        if asked > self.bound:
            self.wrong.append(f"{asked} pods asked for, {self.bound} allowed")
        running = [pod for pod in self.api.list(PODS) if pod_state.is_active(pod)]
        held = Counter(pod["metadata"]["ownerReferences"][0]["uid"] for pod in running)
        # Pods that a ReplicaSet is about to give up, since it has been scaled down already.
        surplus = sum(max(0, held[rs["metadata"]["uid"]] - rs["spec"]["replicas"]) for rs in sets)
        if len(running) - surplus > self.bound:
            self.wrong.append(f"{len(running)} pods, {self.bound} allowed, {surplus} to be given up")

    def check_create(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        """A pod is only made while its ReplicaSet lacks one."""
        if resource is not PODS or old is not None or new is None:
            return
        owner = new["metadata"]["ownerReferences"][0]
        running = [pod for pod in self.api.list(PODS) if pod_state.is_active(pod)]
        mine = [pod for pod in running if pod["metadata"]["ownerReferences"][0]["uid"] == owner["uid"]]
        rs = self.api.get(REPLICASETS, "default", owner["name"])
        if len(mine) > max(rs["spec"]["replicas"], self.sizes[owner["uid"]]):
            self.wrong.append(f"{len(mine)} pods of {owner['name']}, which asks for {rs['spec']['replicas']}")

    def kubelet(self) -> None:
        """Something happens to a pod."""
        pods = list(self.api.list(PODS))
        if not pods:
            return
        pod = self.random.choice(pods)
        place = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        if pod["metadata"].get("deletionTimestamp"):
            self.api.remove(PODS, place)
        elif not pod["spec"].get("nodeName"):
            self.api.change_spec(PODS, *place, nodeName="n")
        else:
            since = timestamps.seconds(self.world.clock.now())
            ready = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
            if (pod.get("status") or {}).get("conditions") is None:
                self.api.set_status(PODS, *place, phase="Running", conditions=ready)
            elif self.world.choose(0.02):
                self.api.set_status(PODS, *place, phase="Failed")

    def quick_kubelet(self) -> None:
        for _ in range(8):
            self.kubelet()

    async def rest(self) -> None:
        """No more faults, and the kubelet is quick."""
        await self.world.rest(self.quick_kubelet, self.is_done)
        self.bound = self.spec()["replicas"] + self.surge()
        for rs in self.api.list(REPLICASETS):
            self.sizes[rs["metadata"]["uid"]] = rs["spec"]["replicas"]

    def surge(self) -> int:
        value = self.spec()["strategy"]["rollingUpdate"]["maxSurge"]
        return intstr.scaled(value, self.spec()["replicas"], round_up=True)

    def is_done(self) -> bool:
        spec = self.spec()
        image = spec["template"]["spec"]["containers"][0]["image"]
        pods = [pod for pod in self.api.list(PODS) if (pod.get("status") or {}).get("phase") != "Failed"]
        status = self.api.get(DEPLOYMENTS, "default", "web").get("status") or {}
        right = all(pod["spec"]["containers"][0]["image"] == image for pod in pods)
        return right and len(pods) == spec["replicas"] and status.get("availableReplicas", 0) == spec["replicas"]


@pytest.mark.parametrize("part", range(PARTS))
def test_rollouts_keep_their_promises_under_faults(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        for _ in range(3):
            sim.apply()
            for _ in range(60):
                await sim.world.step(sim.kubelet)
            await sim.rest()
        await sim.world.close()

    try_seeds(part, tell)
