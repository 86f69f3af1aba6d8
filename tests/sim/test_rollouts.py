"""Rollouts under faults: late and broken watches, lost requests and answers, crashes after any change.

Whatever happens, there are never more pods than asked for and the surge allows, availability is never given up beyond
what is allowed, and in the end everything is as asked for. `SIM_SEEDS` sets how many seeds are tried.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from dataclasses import dataclass

import pytest
from tests.fakes.api import Change
from tests.fakes.world import World

from knarr.api.registry import DEPLOYMENTS, PODS, REPLICASETS
from knarr.api.resources import Resource
from knarr.api.semantics import pod_state
from knarr.apimachinery import intstr, timestamps
from knarr.apimachinery.types import Object
from knarr.controller import deployment, replicaset

SEEDS = int(os.environ.get("SIM_SEEDS", "150"))
BOTH = (deployment.CONTROLLER, replicaset.CONTROLLER)


@dataclass
class Faults:
    """How often what goes wrong, of 1."""

    lose_request: float = 0.03
    lose_answer: float = 0.05
    crash: float = 0.02
    relist: float = 0.03


class Sim:
    """A cluster whose every step is drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(BOTH, seed=seed, hold=True)
        self.faults = Faults()
        self.calm = False
        self.crash_now = False
        #: The most pods that any size and surge asked for since the last rest allowed.
        self.bound = 0
        self.wrong: list[str] = []
        #: The largest size of each ReplicaSet since the last rest.
        self.sizes: Counter[str] = Counter()
        self.world.api.listeners.append(self.on_change)

    def on_change(self, change: Change) -> None:
        resource, old, new, _ = change
        if resource is REPLICASETS and new is not None:
            uid = new["metadata"]["uid"]
            self.sizes[uid] = max(self.sizes[uid], new["spec"]["replicas"])
        self.check_create(resource, old, new)
        self.check()

    def choose(self, share: float) -> bool:
        return not self.calm and self.random.random() < share

    async def start(self) -> None:
        transport = self.world.transport

        def before(method: str, path: str) -> None:
            if self.choose(self.faults.lose_request):
                raise ConnectionError("request lost")

        def after(method: str, path: str) -> None:
            if method != "GET" and self.choose(self.faults.crash):
                self.crash_now = True
            if self.choose(self.faults.lose_answer):
                raise ConnectionError("answer lost")

        transport.before, transport.after = before, after
        await self.world.manager.start()

    async def crash(self) -> None:
        self.crash_now = False
        await self.world.close()
        self.world.start()
        await self.start()

    def spec(self) -> Object:
        found: Object = self.world.api.get(DEPLOYMENTS, "default", "web")["spec"]
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
        if self.world.api.list(DEPLOYMENTS):
            self.world.api.change_spec(DEPLOYMENTS, "default", "web", **spec)
        else:
            meta = {"name": "web", "namespace": "default"}
            self.world.api.create(
                DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
            )

    def check(self) -> None:
        """Look at the cluster after a change; what is wrong is kept, since a request is no place to fail in."""
        sets = self.world.api.list(REPLICASETS)
        asked = sum(rs["spec"]["replicas"] for rs in sets)
        if asked > self.bound:
            self.wrong.append(f"{asked} pods asked for, {self.bound} allowed")
        running = [pod for pod in self.world.api.list(PODS) if pod_state.is_active(pod)]
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
        running = [pod for pod in self.world.api.list(PODS) if pod_state.is_active(pod)]
        mine = [pod for pod in running if pod["metadata"]["ownerReferences"][0]["uid"] == owner["uid"]]
        rs = self.world.api.get(REPLICASETS, "default", owner["name"])
        if len(mine) > max(rs["spec"]["replicas"], self.sizes[owner["uid"]]):
            self.wrong.append(f"{len(mine)} pods of {owner['name']}, which asks for {rs['spec']['replicas']}")

    def kubelet(self) -> None:
        """Something happens to a pod."""
        pods = list(self.world.api.list(PODS))
        if not pods:
            return
        pod = self.random.choice(pods)
        place = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        if pod["metadata"].get("deletionTimestamp"):
            self.world.api.remove(PODS, place)
        elif not pod["spec"].get("nodeName"):
            self.world.api.change_spec(PODS, *place, nodeName="n")
        else:
            since = timestamps.seconds(self.world.clock.now())
            ready = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
            if (pod.get("status") or {}).get("conditions") is None:
                self.world.api.set_status(PODS, *place, phase="Running", conditions=ready)
            elif self.choose(0.02):
                self.world.api.set_status(PODS, *place, phase="Failed")

    async def step(self) -> None:
        draw = self.random.random()
        informers = self.world.informers
        if draw < 0.35:
            resource = self.random.choice(list(informers.informers))
            informers.deliver(resource, self.random.randint(1, 3))
        elif draw < 0.65:
            self.kubelet()
        elif draw < 0.7:
            self.world.clock.advance(self.random.choice([0.01, 1.0, 5.0]))
        elif self.choose(self.faults.relist):
            informers.relist(self.random.choice(list(informers.informers)))
        for _ in range(self.random.randint(1, 12)):
            await asyncio.sleep(0)
            if self.crash_now:
                await self.crash()
        assert not self.wrong, self.wrong[0]

    async def rest(self) -> None:
        """No more faults: everything must come to what was asked for."""
        self.calm = True
        for _ in range(400):
            self.world.informers.deliver_all()
            for _ in range(8):
                self.kubelet()
            self.world.clock.advance(1.0)
            for _ in range(30):
                await asyncio.sleep(0)
            if self.crash_now:
                await self.crash()
            if self.is_done():
                break
        assert self.is_done(), self.world.api.get(DEPLOYMENTS, "default", "web")["status"]
        assert not self.wrong, self.wrong[0]
        self.bound = self.spec()["replicas"] + self.surge()
        for rs in self.world.api.list(REPLICASETS):
            self.sizes[rs["metadata"]["uid"]] = rs["spec"]["replicas"]
        self.calm = False

    def surge(self) -> int:
        value = self.spec()["strategy"]["rollingUpdate"]["maxSurge"]
        return intstr.scaled(value, self.spec()["replicas"], round_up=True)

    def is_done(self) -> bool:
        spec = self.spec()
        image = spec["template"]["spec"]["containers"][0]["image"]
        pods = [pod for pod in self.world.api.list(PODS) if (pod.get("status") or {}).get("phase") != "Failed"]
        status = self.world.api.get(DEPLOYMENTS, "default", "web").get("status") or {}
        right = all(pod["spec"]["containers"][0]["image"] == image for pod in pods)
        return right and len(pods) == spec["replicas"] and status.get("availableReplicas", 0) == spec["replicas"]


@pytest.mark.parametrize("part", range(5))
def test_rollouts_keep_their_promises_under_faults(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.start()
        for _ in range(3):
            sim.apply()
            for _ in range(60):
                await sim.step()
            await sim.rest()
        await sim.world.close()

    for seed in range(part, SEEDS, 5):
        try:
            asyncio.run(tell(seed))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
