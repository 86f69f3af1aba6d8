"""Quotas and storage in use under faults: in the end use is counted right; no claim goes while a pod mounts it."""

from __future__ import annotations

import pytest
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import PODS, PVCS, RESOURCEQUOTAS
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.controller import resource_quota
from knarr.controller.protection import claims

CONTROLLERS = (resource_quota.controller((RESOURCEQUOTAS, PODS, PVCS)), claims.CONTROLLER)
NS = "default"
MOST = 6


class Sim:
    """Pods that mount claims come, end and go, charged to a quota as admission does it; claims come and go."""

    def __init__(self, seed: int) -> None:
        self.world = FaultyWorld(CONTROLLERS, seed)
        self.random, self.api = self.world.random, self.world.api
        self.api.graceful = False
        self.count = 0
        hard = {"pods": str(MOST), "persistentvolumeclaims": "99"}
        self.api.create(RESOURCEQUOTAS, {"metadata": {"name": "q", "namespace": NS}, "spec": {"hard": hard}})
        self.api.listeners.append(self.watch)

    def watch(self, change: tuple[Resource, Object | None, Object | None, int]) -> None:
        resource, old, new, _ = change
        if resource is PVCS and new is None and old is not None and self.users(old["metadata"]["name"]):
            self.world.wrong.append(f"claim {old['metadata']['name']} went while in use")

    def users(self, claim: str) -> list[Object]:
        return [pod for pod in self.api.list(PODS) if pod["metadata"]["labels"]["claim"] == claim]

    def happens(self) -> None:
        draw, pods, claims = self.random.random(), list(self.api.list(PODS)), list(self.api.list(PVCS))
        if draw < 0.3 or not claims:
            self.count += 1
            meta = {"name": f"c{self.count}", "namespace": NS, "finalizers": ["kubernetes.io/pvc-protection"]}
            self.api.create(PVCS, {"metadata": meta})
        elif draw < 0.4:
            self.api.delete(PVCS, (NS, self.random.choice(claims)["metadata"]["name"]), {})
        elif draw < 0.85 or not pods:
            self.charge(self.random.choice(claims))
        elif draw < 0.9:
            self.api.set_status(PODS, NS, self.random.choice(pods)["metadata"]["name"], phase="Succeeded")
        else:
            self.api.remove(PODS, (NS, self.random.choice(pods)["metadata"]["name"]))

    def charge(self, claim: Object) -> None:
        """A pod passes admission if it fits; the scheduler places none whose claim ends."""
        quota = self.api.get(RESOURCEQUOTAS, NS, "q")
        used = (quota.get("status") or {}).get("used") or {}
        if int(used.get("pods", MOST)) >= MOST or claim["metadata"].get("deletionTimestamp"):
            return
        status = {**quota["status"], "used": {**used, "pods": str(int(used["pods"]) + 1)}}
        self.api.update(RESOURCEQUOTAS, {**quota, "status": status}, "status")
        self.count += 1
        name = claim["metadata"]["name"]
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]
        meta = {"name": f"p{self.count}", "namespace": NS, "labels": {"claim": name}}
        pod = {"metadata": meta, "spec": {"containers": [], "nodeName": "n", "volumes": volumes}, "status": {}}
        if self.random.random() < 0.5:
            self.api.put(PODS, pod)
        # Others never arrive: the write failed after it was charged.

    def is_done(self) -> bool:
        pods = [pod for pod in self.api.list(PODS) if pod["status"].get("phase") != "Succeeded"]
        claims = self.api.list(PVCS)
        used = {"pods": str(len(pods)), "persistentvolumeclaims": str(len(claims))}
        left = [one for one in claims if one["metadata"].get("deletionTimestamp")]
        return self.api.get(RESOURCEQUOTAS, NS, "q").get("status", {}).get("used") == used and all(
            self.users(one["metadata"]["name"]) for one in left
        )


@pytest.mark.parametrize("part", range(PARTS))
def test_use_is_counted_right_in_the_end_and_no_claim_goes_while_it_is_mounted(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        for _ in range(2):
            for _ in range(60):
                await sim.world.step(sim.happens)
            await sim.world.rest(lambda: None, sim.is_done)
        await sim.world.close()

    try_seeds(part, tell)
