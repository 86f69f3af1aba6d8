"""Disruption budgets under faults: they never allow more than the pods bear, and in the end tell the truth."""

from __future__ import annotations

import pytest
from tests.fakes.api import Change
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import PODDISRUPTIONBUDGETS, PODS, REPLICASETS
from knarr.api.semantics import pod_state
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller import disruption
from knarr.controller.replicas import replicaset

NS = "default"


class Sim:
    """A ReplicaSet with a budget; pods become ready and fail, and somebody evicts them."""

    def __init__(self, seed: int) -> None:
        self.world = FaultyWorld((disruption.CONTROLLER, replicaset.CONTROLLER), seed)
        self.random, self.api, self.wrong = self.world.random, self.world.api, self.world.wrong
        spec: Object = {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}}},
        }
        self.api.create(REPLICASETS, named("r", {**spec, "template": {**spec["template"], "spec": {"containers": []}}}))
        self.api.create(PODDISRUPTIONBUDGETS, named("b", {"selector": spec["selector"], "minAvailable": "50%"}))
        self.api.listeners.append(self.on_change)

    def budget(self) -> Object:
        found: Object = self.api.get(PODDISRUPTIONBUDGETS, NS, "b")
        return found

    def healthy(self) -> int:
        return sum(pod_state.is_ready(pod) and pod_state.is_active(pod) for pod in self.api.list(PODS))

    def on_change(self, change: Change) -> None:
        resource, old, new, _ = change
        if resource is PODDISRUPTIONBUDGETS and new is not None:
            status = new.get("status") or {}
            if status.get("disruptionsAllowed", 0) > max(
                0, status.get("currentHealthy", 0) - status.get("desiredHealthy", 0)
            ):
                self.wrong.append(f"more is allowed than {status} bears")

    def happens(self) -> None:
        pods = list(self.api.list(PODS))
        draw = self.random.random()
        if draw < 0.1:
            self.api.change_spec(REPLICASETS, NS, "r", replicas=self.random.randint(1, 6))
        elif draw < 0.2:
            least: Object = self.random.choice([{"minAvailable": 2}, {"minAvailable": "50%"}, {"maxUnavailable": 1}])
            selector = self.budget()["spec"]["selector"]
            kept = self.budget()
            self.api.update(PODDISRUPTIONBUDGETS, {**kept, "spec": {"selector": selector, **least}})
        elif draw < 0.4:
            self.evict()
        elif pods:
            self.kubelet(self.random.choice(pods))

    def evict(self) -> None:
        """As the eviction API does: spend what is allowed and note the pod; its deletion may be lost."""
        budget = self.budget()
        status = budget.get("status") or {}
        ready = [pod for pod in self.api.list(PODS) if pod_state.is_ready(pod) and pod_state.is_active(pod)]
        seen = status.get("observedGeneration") == budget["metadata"]["generation"]
        if not ready or not seen or not status["disruptionsAllowed"]:
            return
        name = self.random.choice(ready)["metadata"]["name"]
        noted = {**(status.get("disruptedPods") or {}), name: timestamps.seconds(self.world.clock.now())}
        spent = {"disruptionsAllowed": status["disruptionsAllowed"] - 1, "disruptedPods": noted}
        self.api.set_status(PODDISRUPTIONBUDGETS, NS, "b", **spent)
        if self.random.random() < 0.8:
            self.api.delete(PODS, (NS, name), {})

    def kubelet(self, pod: Object) -> None:
        place = (NS, pod["metadata"]["name"])
        if pod["metadata"].get("deletionTimestamp"):
            self.api.remove(PODS, place)
        elif not pod["spec"].get("nodeName"):
            self.api.change_spec(PODS, *place, nodeName="n")
        else:
            status = self.random.choice(["True", "True", "False"]) if not self.world.calm else "True"
            since = timestamps.seconds(self.world.clock.now())
            ready = [{"type": "Ready", "status": status, "lastTransitionTime": since}]
            self.api.set_status(PODS, *place, phase="Running", conditions=ready)

    def kubelets(self) -> None:
        for pod in list(self.api.list(PODS)):
            if pod["metadata"].get("deletionTimestamp") or not pod_state.is_ready(pod):
                self.kubelet(pod)

    def is_done(self) -> bool:
        size, spec, status = (
            self.api.get(REPLICASETS, NS, "r")["spec"]["replicas"],
            self.budget()["spec"],
            self.budget().get("status") or {},
        )
        if self.healthy() != size or len(self.api.list(PODS)) != size or status.get("disruptedPods"):
            return False
        least = spec.get("minAvailable", size - spec.get("maxUnavailable", 0))
        least = -(-size // 2) if least == "50%" else max(0, least)
        told = (status.get("expectedPods"), status.get("currentHealthy"), status.get("desiredHealthy"))
        return told == (size, size, least) and status["disruptionsAllowed"] == max(0, size - least)


def named(name: str, spec: Object) -> Object:
    return {"metadata": {"name": name, "namespace": NS}, "spec": spec}


@pytest.mark.parametrize("part", range(PARTS))
def test_budgets_bear_what_they_allow_and_tell_the_truth(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        for _ in range(2):
            for _ in range(60):
                await sim.world.step(sim.happens)
            await sim.world.rest(sim.kubelets, sim.is_done)
        await sim.world.close()

    try_seeds(part, tell)
