"""ReplicaSets and ReplicationControllers under faults: pods change hands and never have two masters."""

from __future__ import annotations

import pytest
from tests.fakes.api import Change
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import PODS, REPLICASETS, REPLICATIONCONTROLLERS
from knarr.api.resources import Resource
from knarr.api.semantics import pod_state
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller.replicas import replicaset, replication_controller

NS = "default"
APPS = {"a": REPLICASETS, "b": REPLICASETS, "c": REPLICATIONCONTROLLERS}


class Sim:
    """Three workloads; somebody sizes them, and moves pods from one to the other by their labels."""

    def __init__(self, seed: int) -> None:
        self.world = FaultyWorld((replicaset.CONTROLLER, replication_controller.CONTROLLER), seed)
        self.random, self.api, self.wrong = self.world.random, self.world.api, self.world.wrong
        self.count = 0
        self.api.listeners.append(self.on_change)
        for app, resource in APPS.items():
            labels = {"app": app}
            selector = {"matchLabels": labels} if resource is REPLICASETS else labels
            template = {"metadata": {"labels": labels}, "spec": {"containers": []}}
            spec = {"replicas": 2, "selector": selector, "template": template, "minReadySeconds": 2}
            self.api.create(resource, {"metadata": {"name": app, "namespace": NS}, "spec": spec})

    def on_change(self, change: Change) -> None:
        resource, _, new, _ = change
        if resource is PODS and new is not None:
            masters = [
                owner["name"] for owner in new["metadata"].get("ownerReferences") or () if owner.get("controller")
            ]
            if len(masters) > 1:
                self.wrong.append(f"{new['metadata']['name']} has masters {masters}")

    def happens(self) -> None:
        draw = self.random.random()
        pods = list(self.api.list(PODS))
        if draw < 0.1:
            app = self.random.choice(list(APPS))
            self.api.change_spec(APPS[app], NS, app, replicas=self.random.randint(0, 5))
        elif draw < 0.2:
            self.stray()
        elif draw < 0.35 and pods:
            pod = self.random.choice(pods)
            labels = {"app": self.random.choice([*APPS, "nobody"])}
            self.api.update(PODS, {**pod, "metadata": {**pod["metadata"], "labels": labels}})
        elif pods:
            self.kubelet(self.random.choice(pods))

    def stray(self) -> None:
        self.count += 1
        meta = {"name": f"stray{self.count}", "namespace": NS, "labels": {"app": self.random.choice(list(APPS))}}
        self.api.create(PODS, {"metadata": meta, "spec": {"containers": []}})

    def kubelet(self, pod: Object) -> None:
        place = (NS, pod["metadata"]["name"])
        if pod["metadata"].get("deletionTimestamp"):
            self.api.remove(PODS, place)
        elif not pod["spec"].get("nodeName"):
            self.api.change_spec(PODS, *place, nodeName=self.random.choice("xy"))
        elif not pod_state.is_terminal(pod):
            phase = "Failed" if self.world.choose(0.05) else "Running"
            since = timestamps.seconds(self.world.clock.now())
            ready = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
            if not pod_state.is_ready(pod) or phase == "Failed":
                self.api.set_status(PODS, *place, phase=phase, conditions=ready)

    def kubelets(self) -> None:
        for pod in list(self.api.list(PODS)):
            self.kubelet(pod)

    def is_done(self) -> bool:
        return all(self.is_right(app, resource) for app, resource in APPS.items())

    def is_right(self, app: str, resource: Resource) -> bool:
        found = self.api.get(resource, NS, app)
        active = [pod for pod in self.api.list(PODS) if pod_state.is_active(pod)]
        mine = [pod for pod in active if owner(pod) == app]
        like = [pod for pod in active if pod["metadata"]["labels"]["app"] == app]
        wanted, status = found["spec"]["replicas"], found.get("status") or {}
        told = [status.get(name, 0) for name in ("replicas", "readyReplicas", "availableReplicas")]
        return len(mine) == wanted and mine == like and told == [wanted] * 3


def owner(pod: Object) -> str:
    return next((item["name"] for item in pod["metadata"].get("ownerReferences") or () if item.get("controller")), "")


@pytest.mark.parametrize("part", range(PARTS))
def test_pods_change_hands_and_numbers_come_right(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        for _ in range(2):
            for _ in range(70):
                await sim.world.step(sim.happens)
            await sim.world.rest(sim.kubelets, sim.is_done)
        await sim.world.close()

    try_seeds(part, tell)
