"""StatefulSets and DaemonSets under faults: late and broken watches, lost requests and answers, crashes.

Whatever happens, no ordered set takes a second pod away before the first is back, no pod starts without its claim, no
node gets more pods than it may have, and no more nodes go without than allowed. In the end all is as asked for.
"""

from __future__ import annotations

import pytest
from tests.fakes.api import Change
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS, PVCS, STATEFULSETS
from knarr.api.resources import Resource
from knarr.api.semantics import pod_state
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller import daemonset, statefulset
from knarr.controller.daemonset import placement
from knarr.controller.statefulset import identity

NS, NAME = "default", "s"
LABELS = {"app": "s"}


class Sim:
    """Pods of one set, and a kubelet that is played by hand."""

    resource: Resource

    def __init__(self, world: FaultyWorld) -> None:
        self.world = world
        self.random, self.api, self.wrong = world.random, world.api, world.wrong
        #: Whose deletions are the controller's.
        self.by_hand = False
        self.api.listeners.append(self.on_change)

    def on_change(self, change: Change) -> None:
        raise NotImplementedError

    def image(self) -> str:
        return f"nginx:{self.random.randint(1, 3)}"

    def template(self) -> Object:
        return {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": self.image()}]}}

    def put(self, spec: Object) -> None:
        if self.api.list(self.resource):
            self.api.change_spec(self.resource, NS, NAME, **spec)
        else:
            self.api.create(self.resource, {"metadata": {"name": NAME, "namespace": NS}, "spec": spec})

    def the_set(self) -> Object:
        found: Object = self.api.get(self.resource, NS, NAME)
        return found

    def kubelet(self) -> None:
        """Something happens to a pod."""
        self.by_hand = True
        pods = list(self.api.list(PODS))
        if pods:
            self.tend(self.random.choice(pods))
        self.by_hand = False

    def tend(self, pod: Object) -> None:
        place = (NS, pod["metadata"]["name"])
        if pod["metadata"].get("deletionTimestamp"):
            self.api.remove(PODS, place)
        elif not pod["spec"].get("nodeName"):
            self.api.change_spec(PODS, *place, nodeName=placement.target(pod) or "n")
        elif (pod.get("status") or {}).get("conditions") is None:
            since = timestamps.seconds(self.world.clock.now())
            ready = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
            self.api.set_status(PODS, *place, phase="Running", conditions=ready)
        elif self.world.choose(0.03):
            self.api.set_status(PODS, *place, phase=self.random.choice(["Failed", "Succeeded"]))
        elif self.world.choose(0.01):
            self.api.delete(PODS, place, {})

    def quick(self) -> None:
        for _ in range(8):
            self.kubelet()

    def was_good(self, pod: Object) -> bool:
        """Whether a pod is ready, and the controller has seen it so."""
        seen = self.world.world.informers.get(PODS, NS, pod["metadata"]["name"])
        same = seen is not None and seen["metadata"]["uid"] == pod["metadata"]["uid"]
        return same and all(pod_state.is_ready(one) and pod_state.is_active(one) for one in (pod, seen or {}))


class Stateful(Sim):
    """A StatefulSet with a claim a pod."""

    resource = STATEFULSETS

    def __init__(self, seed: int) -> None:
        super().__init__(FaultyWorld((statefulset.CONTROLLER,), seed))
        self.policy = self.random.choice(["OrderedReady", "OrderedReady", "Parallel"])
        #: Pods that the controller took away and that are not ready again.
        self.away: set[str] = set()

    def apply(self) -> None:
        """A user creates or changes the set."""
        claim = {"metadata": {"name": "data"}, "spec": {}}
        partition = self.random.choice([0, 0, 0, 1, 3])
        self.put(
            {
                "replicas": self.random.randint(0, 4),
                "ordinals": {"start": self.random.choice([0, 0, 2])},
                "selector": {"matchLabels": LABELS},
                "template": self.template(),
                "podManagementPolicy": self.policy,
                "minReadySeconds": self.random.choice([0, 0, 3]),
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}},
                "revisionHistoryLimit": 1,
                "volumeClaimTemplates": [claim],
                "persistentVolumeClaimRetentionPolicy": {
                    "whenDeleted": self.random.choice(["Retain", "Delete"]),
                    "whenScaled": self.random.choice(["Retain", "Delete"]),
                },
            }
        )

    def on_change(self, change: Change) -> None:
        resource, old, new, _ = change
        if resource is not PODS:
            return
        name = (new or old or {})["metadata"]["name"]
        if old is None:
            if (NS, f"data-{name}") not in self.api.objects[PVCS]:
                self.wrong.append(f"pod {name} starts without its claim")
        elif new is not None and new["metadata"].get("deletionTimestamp") and not self.by_hand:
            self.on_taken(name, old)
        if new is not None and pod_state.is_ready(new) and not new["metadata"].get("deletionTimestamp"):
            self.away.discard(name)
        if new is None and identity.parted(name)[1] not in identity.ordinals(self.the_set()):
            self.away.discard(name)

    def on_taken(self, name: str, pod: Object) -> None:
        if pod["metadata"].get("deletionTimestamp") or not self.was_good(pod):
            return
        if self.policy == "OrderedReady" and self.away:
            self.wrong.append(f"{name} is taken away while {sorted(self.away)} are not back")
        self.away.add(name)

    def kubelet(self) -> None:
        super().kubelet()
        uids = {pod["metadata"]["uid"] for pod in self.api.list(PODS)}
        for claim in list(self.api.list(PVCS)):
            owners = [ref for ref in claim["metadata"].get("ownerReferences") or () if ref["kind"] == "Pod"]
            if any(ref["uid"] not in uids for ref in owners):
                self.api.remove(PVCS, (NS, claim["metadata"]["name"]))

    def is_done(self) -> bool:
        made = self.the_set()
        wanted, status = identity.ordinals(made), made.get("status") or {}
        pods = {identity.ordinal(pod): pod for pod in self.api.list(PODS)}
        image = made["spec"]["template"]["spec"]["containers"][0]["image"]
        first = wanted.start + made["spec"]["updateStrategy"]["rollingUpdate"]["partition"]
        new = [pods[number]["spec"]["containers"][0]["image"] for number in pods if number >= first]
        counts = [status.get(field, 0) for field in ("replicas", "readyReplicas", "availableReplicas")]
        seen = status.get("observedGeneration") == made["metadata"]["generation"]
        few = len(self.api.list(CONTROLLERREVISIONS)) <= 2 + len({identity.revision(pod) for pod in pods.values()})
        right = sorted(pods) == list(wanted) and set(new) <= {image} and counts == [len(wanted)] * 3
        return (
            seen and few and right and (first > wanted.start or status["currentRevision"] == status["updateRevision"])
        )


class Daemon(Sim):
    """A DaemonSet on nodes that come, go and change."""

    resource = DAEMONSETS

    def __init__(self, seed: int) -> None:
        super().__init__(FaultyWorld((daemonset.controller(),), seed))
        self.names = [f"n{number}" for number in range(4)]
        self.surge, self.most = 0, 0
        #: Nodes whose pod the controller took away, until one is ready again; and those that have changed.
        self.away: set[str] = set()
        self.changed: set[str] = set()

    def apply(self) -> None:
        """A user creates or changes the set; nodes change, too."""
        unavailable, surge = self.random.choice([(1, 0), (2, 0), (0, 1), (0, 2)])
        self.surge, self.most = max(self.surge, surge), max(self.most, unavailable)
        bounds = {"maxUnavailable": unavailable, "maxSurge": surge}
        self.put(
            {
                "selector": {"matchLabels": LABELS},
                "template": self.template(),
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": bounds},
                "revisionHistoryLimit": 1,
            }
        )
        for name in self.names:
            if self.random.random() < 0.4:
                self.changed.add(name)
                self.change_node(name)

    def change_node(self, name: str) -> None:
        there = ("", name) in self.api.objects[NODES]
        taints = [{"key": "k", "effect": self.random.choice(["NoSchedule", "NoExecute"])}]
        spec = {"taints": self.random.choice([[], [], taints])}
        if not there:
            self.api.put(NODES, {"metadata": {"name": name}, "spec": spec})
        elif self.random.random() < 0.3:
            self.api.remove(NODES, ("", name))
        else:
            self.api.change_spec(NODES, "", name, **spec)

    def on_change(self, change: Change) -> None:
        resource, old, new, _ = change
        if resource is not PODS:
            return
        node = placement.target(new or old or {})
        if old is None:
            self.on_created(node)
        elif new is not None and new["metadata"].get("deletionTimestamp") and not self.by_hand:
            self.on_taken(node, old)
        if new is not None and pod_state.is_ready(new) and not new["metadata"].get("deletionTimestamp"):
            self.away.discard(node)

    def on_created(self, node: str) -> None:
        there = [pod for pod in self.api.list(PODS) if placement.target(pod) == node]
        staying = [pod for pod in there if pod_state.is_active(pod)]
        if not self.surge and len(there) > 1:
            self.wrong.append(f"{len(there)} pods on {node}")
        if len(staying) > 2:
            self.wrong.append(f"{len(staying)} pods stay on {node}")

    def on_taken(self, node: str, pod: Object) -> None:
        if pod["metadata"].get("deletionTimestamp") or node in self.changed or not self.was_good(pod):
            return
        if self.surge:
            return
        self.away.add(node)
        if len(self.away) > self.most:
            self.wrong.append(f"{sorted(self.away)} are without a pod, {self.most} may be")

    def kubelet(self) -> None:
        super().kubelet()
        nodes = {node["metadata"]["name"] for node in self.api.list(NODES)}
        for pod in list(self.api.list(PODS)):
            if pod["spec"].get("nodeName") and pod["spec"]["nodeName"] not in nodes:
                self.by_hand = True
                self.api.remove(PODS, (NS, pod["metadata"]["name"]))
                self.by_hand = False

    def is_done(self) -> bool:
        made = self.the_set()
        fit = placement.Placement(made).fit
        fits = {node["metadata"]["name"]: fit(node) for node in self.api.list(NODES)}
        wanted = {name for name, found in fits.items() if found.run}
        on = [placement.target(pod) for pod in self.api.list(PODS)]
        image = made["spec"]["template"]["spec"]["containers"][0]["image"]
        right = all(
            pod["spec"]["containers"][0]["image"] == image
            for pod in self.api.list(PODS)
            if placement.target(pod) in wanted
        )
        status = made.get("status") or {}
        counts = [status.get(field, 0) for field in ("desiredNumberScheduled", "numberAvailable")]
        counts.append(status.get("updatedNumberScheduled", 0))
        seen = status.get("observedGeneration") == made["metadata"]["generation"]
        few = len(self.api.list(CONTROLLERREVISIONS)) <= 3
        spread = len(set(on)) == len(on) and wanted <= set(on)
        return seen and right and few and spread and counts == [len(wanted)] * 3

    def settled(self) -> None:
        """Nothing of before counts any more."""
        bounds = self.the_set()["spec"]["updateStrategy"]["rollingUpdate"]
        self.surge, self.most = bounds["maxSurge"], bounds["maxUnavailable"]
        self.away.clear()
        self.changed.clear()


@pytest.mark.parametrize("part", range(PARTS))
def test_stateful_sets_keep_their_order_under_faults(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Stateful(seed)
        await sim.world.start()
        for _ in range(3):
            sim.apply()
            for _ in range(60):
                await sim.world.step(sim.kubelet)
            await sim.world.rest(sim.quick, sim.is_done)
            sim.away.clear()
        await sim.world.close()

    try_seeds(part, tell)


@pytest.mark.parametrize("part", range(PARTS))
def test_daemon_sets_keep_their_bounds_under_faults(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Daemon(seed)
        await sim.world.start()
        for _ in range(3):
            sim.apply()
            for _ in range(60):
                await sim.world.step(sim.kubelet)
            await sim.world.rest(sim.quick, sim.is_done)
            sim.settled()
        await sim.world.close()

    try_seeds(part, tell)
