"""Autoscaling under faults: late and broken watches, lost requests and answers, crashes after any change.

Whatever happens, an autoscaler asks for no size out of its bounds, never grows a target to more than twice its size (or
four) at once, works once in a period and not more often, and in the end the size is what the load asks for.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.fakes.api import Change
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import DEPLOYMENTS, HPAS, PODS
from knarr.apimachinery import errors, timestamps
from knarr.apimachinery.types import Object
from knarr.controller import podautoscaler

PLACE = ("default", "web")
LONG_AGO = "2025-01-01T00:00:00Z"
#: Percent of what a pod asks for that it shall use.
TARGET = 50


class Sim:
    """A Deployment under a load that every pod has its part of, and an autoscaler. Every step is drawn from a seed."""

    def __init__(self, seed: int) -> None:
        settings = podautoscaler.Settings(sync_period=2.0, downscale_stabilization=4.0)
        self.world = FaultyWorld((podautoscaler.controller(settings),), seed)
        self.random, self.api, self.wrong = self.world.random, self.world.api, self.world.wrong
        self.load = 1000
        #: All bounds since the last rest: the watch may show those that were.
        self.known: list[tuple[int, int]] = []
        #: It is a user who sets the size.
        self.by_user = False
        self.api.outside["metrics.k8s.io"] = self.metrics
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}}
        self.api.create(DEPLOYMENTS, {"metadata": {"namespace": "default", "name": "web"}, "spec": spec})
        self.bounds = (1, 8)
        self.known.append(self.bounds)
        self.api.create(HPAS, {"metadata": {"namespace": "default", "name": "web"}, "spec": self.spec()})
        self.api.listeners.append(self.on_change)

    def spec(self) -> Object:
        metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": TARGET}}}
        return {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": self.bounds[0],
            "maxReplicas": self.bounds[1],
            "metrics": [metric],
        }

    def metrics(self, path: str, query: Mapping[str, str]) -> Object:
        if self.world.choose(0.1):
            raise errors.service_unavailable("no metrics now")
        pods = self.api.list(PODS, "default")
        told = [pod for pod in pods if not self.world.choose(0.1)]
        use = {"cpu": f"{self.load // len(pods)}m"} if pods else {}
        items = [
            {
                "metadata": {"name": pod["metadata"]["name"], "namespace": "default"},
                "timestamp": timestamps.seconds(self.world.clock.now()),
                "window": "2s",
                "containers": [{"name": "c", "usage": use}],
            }
            for pod in told
        ]
        return {"kind": "PodMetricsList", "metadata": {}, "items": items}

    def size(self) -> int:
        return int(self.api.get(DEPLOYMENTS, *PLACE)["spec"]["replicas"])

    def on_change(self, change: Change) -> None:
        resource, old, new, _ = change
        if resource is not DEPLOYMENTS or old is None or new is None:
            return
        before, after = old["spec"]["replicas"], new["spec"]["replicas"]
        if before == after or self.by_user:
            return
        if not any(least <= after <= most for least, most in self.known):
            self.wrong.append(f"{after} asked for, {self.known} allowed")
        if after > max(2 * before, 4, *(least for least, _ in self.known)):
            self.wrong.append(f"from {before} to {after} at once")

    def user(self) -> None:
        """The load changes, or somebody changes bounds or size; or the Deployment's pods come and go."""
        draw = self.random.random()
        if draw < 0.1:
            self.load = self.random.choice([0, 200, 1000, 3000, 9000])
        elif draw < 0.15:
            least = self.random.randint(1, 4)
            self.bounds = (least, least + self.random.randint(0, 6))
            self.known.append(self.bounds)
            self.api.change_spec(HPAS, *PLACE, **self.spec())
        elif draw < 0.2:
            self.by_user = True
            self.api.change_spec(DEPLOYMENTS, *PLACE, replicas=self.random.randint(1, 10))
            self.by_user = False
        else:
            self.follow()

    def follow(self) -> None:
        """One pod more or less, as the Deployment asks for."""
        pods = list(self.api.list(PODS, "default"))
        if len(pods) < self.size():
            taken = {pod["metadata"]["name"] for pod in pods}
            name = next(f"web-{at}" for at in range(20) if f"web-{at}" not in taken)
            self.api.put(PODS, pod(name))
        elif len(pods) > self.size():
            self.api.remove(PODS, ("default", pods[-1]["metadata"]["name"]))
        self.api.set_status(DEPLOYMENTS, *PLACE, replicas=len(self.api.list(PODS, "default")))

    def catch_up(self) -> None:
        for _ in range(10):
            self.follow()

    def is_done(self) -> bool:
        """Whether the size is one that the load asks for, within the tolerance."""
        least, most = self.bounds
        size = self.size()
        use = self.load // size * 100 // 1000
        fits = 0.9 * TARGET <= use <= 1.1 * TARGET
        wanted = -(-self.load * 100 // (1000 * TARGET))
        return least <= size <= most and (fits or size == min(max(wanted, least), most) or abs(size - wanted) <= 1)


def pod(name: str) -> Object:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": LONG_AGO}
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
        "status": {"phase": "Running", "startTime": LONG_AGO, "conditions": [ready]},
    }


@pytest.mark.parametrize("part", range(PARTS))
def test_autoscaling_keeps_its_promises_under_faults(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        for _ in range(2):
            for _ in range(60):
                await sim.world.step(sim.user)
            await sim.world.rest(sim.catch_up, sim.is_done)
            sim.known = [sim.bounds]
        await sim.world.close()

    try_seeds(part, tell)
