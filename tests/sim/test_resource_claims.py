"""Device claims under faults: no pod that runs loses its reservation, each has one claim, and all are given back."""

from __future__ import annotations

import pytest
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import PODS, RESOURCECLAIMS, RESOURCECLAIMTEMPLATES
from knarr.api.resources import Resource
from knarr.api.semantics.device_claims import FINALIZER, is_done, name_of, reserved_for
from knarr.apimachinery.types import Object
from knarr.controller import resource_claim

NS = "default"


class Sim:
    """Pods with claims from a template or shared ones come, are scheduled (which allocates and reserves), and end."""

    def __init__(self, seed: int) -> None:
        self.world = FaultyWorld((resource_claim.CONTROLLER,), seed)
        self.random, self.api = self.world.random, self.world.api
        self.api.graceful = False
        self.count = 0
        self.api.create(RESOURCECLAIMTEMPLATES, {"metadata": {"name": "t", "namespace": NS}, "spec": {"spec": {}}})
        for name in ("shared-1", "shared-2"):
            self.api.put(RESOURCECLAIMS, {"metadata": {"name": name, "namespace": NS}, "spec": {}, "status": {}})
        self.api.listeners.append(self.watch)

    def watch(self, change: tuple[Resource, Object | None, Object | None, int]) -> None:
        resource, old, new, _ = change
        if resource is not RESOURCECLAIMS or old is None:
            return
        kept = {user["uid"] for user in reserved_for(new)} if new is not None else set()
        for user in reserved_for(old):
            pod = self.api.objects[PODS].get((NS, user["name"]))
            if user["uid"] not in kept and pod and pod["metadata"]["uid"] == user["uid"] and not is_done(pod):
                self.world.wrong.append(f"pod {user['name']} runs and lost {old['metadata']['name']}")

    def happens(self) -> None:
        draw, pods = self.random.random(), list(self.api.list(PODS))
        if draw < 0.35 or not pods:
            self.make_pod()
        elif draw < 0.7:
            self.schedule(self.random.choice(pods))
        elif draw < 0.85:
            self.api.set_status(PODS, NS, self.random.choice(pods)["metadata"]["name"], phase="Succeeded")
        else:
            self.remove(self.random.choice(pods))

    def make_pod(self) -> None:
        # Names come back, with other uids.
        name = f"p{self.random.randint(1, 8)}"
        if (NS, name) in self.api.objects[PODS]:
            return
        source = self.random.choice(
            [{"resourceClaimTemplateName": "t"}, {"resourceClaimName": "shared-1"}, {"resourceClaimName": "shared-2"}]
        )
        spec = {"resourceClaims": [{"name": "gpu", **source}]}
        self.api.put(PODS, {"metadata": {"name": name, "namespace": NS}, "spec": spec, "status": {"phase": "Pending"}})

    def schedule(self, pod: Object) -> None:
        """What the scheduler does: allocate, reserve, bind."""
        name = name_of(pod, pod["spec"]["resourceClaims"][0])
        claim = self.api.objects[RESOURCECLAIMS].get((NS, name or ""))
        if pod["spec"].get("nodeName") or is_done(pod) or claim is None or claim["metadata"].get("deletionTimestamp"):
            return
        if not (claim["metadata"].get("finalizers") or ()):
            held = {**claim, "metadata": {**claim["metadata"], "finalizers": [FINALIZER]}}
            claim = self.api.update(RESOURCECLAIMS, held)
        user = {"resource": "pods", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        status = {**(claim.get("status") or {}), "allocation": {"n": "n"}, "reservedFor": [*reserved_for(claim), user]}
        self.api.update(RESOURCECLAIMS, {**claim, "status": status}, "status")
        self.api.change_spec(PODS, NS, pod["metadata"]["name"], nodeName="n")

    def remove(self, pod: Object) -> None:
        """A pod goes, and the garbage collector takes what it owns."""
        self.api.remove(PODS, (NS, pod["metadata"]["name"]))

    def collect(self) -> None:
        uids = {pod["metadata"]["uid"] for pod in self.api.list(PODS)}
        for claim in list(self.api.list(RESOURCECLAIMS)):
            meta = claim["metadata"]
            owners = meta.get("ownerReferences") or ()
            if any(owner["uid"] not in uids for owner in owners) and not meta.get("deletionTimestamp"):
                self.api.delete(RESOURCECLAIMS, (NS, meta["name"]), {})

    def is_done(self) -> bool:
        pods = {pod["metadata"]["uid"]: pod for pod in self.api.list(PODS)}
        made: list[str] = []
        for claim in self.api.list(RESOURCECLAIMS):
            owners = [owner["uid"] for owner in claim["metadata"].get("ownerReferences") or ()]
            if any(uid not in pods or is_done(pods[uid]) for uid in owners):
                return False
            made += owners
            for user in reserved_for(claim):
                if user["uid"] not in pods or is_done(pods[user["uid"]]):
                    return False
        wanting = [uid for uid, pod in pods.items() if not is_done(pod) and self.wants_own(pod)]
        return sorted(made) == sorted(wanting) and all(name_of(pods[uid], self.entry(pods[uid])) for uid in wanting)

    @staticmethod
    def entry(pod: Object) -> Object:
        found: Object = pod["spec"]["resourceClaims"][0]
        return found

    def wants_own(self, pod: Object) -> bool:
        return "resourceClaimTemplateName" in self.entry(pod)


@pytest.mark.parametrize("part", range(PARTS))
def test_reservations_hold_while_pods_run_and_claims_are_made_once(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        for _ in range(2):
            for _ in range(60):
                await sim.world.step(sim.happens)
            await sim.world.rest(sim.collect, sim.is_done)
        await sim.world.close()

    try_seeds(part, tell)
