"""Jobs under faults: late and broken watches, lost requests and answers, crashes after any change.

Whatever happens, no pod is counted twice and none is lost, there are never more pods than `parallelism`, no index has
two pods, and in the end the Job is complete or has failed, with the right numbers.
"""

from __future__ import annotations

import pytest
from tests.fakes.api import Change
from tests.fakes.jobs import Kubelet, index_of, job
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import JOBS, PODS
from knarr.api.semantics import pod_state
from knarr.apimachinery.types import Object
from knarr.controller.job import CONTROLLER, intervals
from knarr.controller.job.pods import TRACKING

_KINDS = ("succeeded", "failed")


class Sim:
    """A Job whose every step is drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.world = FaultyWorld((CONTROLLER,), seed)
        self.random, self.api, self.wrong = self.world.random, self.world.api, self.world.wrong
        self.kubelet = Kubelet(self.api)
        #: Uids by the counter that they wait for or have reached.
        self.noted: dict[str, str] = {}
        self.counted: set[str] = set()
        #: The most pods asked for since the last rest.
        self.bound = 3
        self.indexed = self.random.random() < 0.5
        self.api.listeners.append(self.on_change)

    def create(self) -> None:
        """A user creates the Job."""
        mode = "Indexed" if self.indexed else "NonIndexed"
        spec: Object = {"completionMode": mode, "completions": self.random.randint(2, 5), "parallelism": 3}
        if self.indexed and self.random.random() < 0.5:
            spec["backoffLimitPerIndex"] = 1000
        policy = self.random.choice(["TerminatingOrFailed", "Failed"])
        limit = self.random.choice([1, 1_000_000])
        if self.indexed and self.random.random() < 0.3:
            spec["successPolicy"] = {"rules": [{"succeededCount": 1}]}
        self.api.create(JOBS, job(backoffLimit=limit, podReplacementPolicy=policy, **spec))

    # What must never be

    def on_change(self, change: Change) -> None:
        resource, old, new, _ = change
        if resource is JOBS and old is not None and new is not None:
            self.check_counters(old.get("status") or {}, new.get("status") or {})
        elif resource is PODS and old is None and new is not None:
            self.check_created(new)
        elif resource is PODS and old is not None:
            self.check_released(old, new)

    def check_counters(self, old: Object, new: Object) -> None:
        """A uid that has left the uncounted ones is counted once, and never comes back."""
        for kind in _KINDS:
            before, after = (set((status.get("uncountedTerminatedPods") or {}).get(kind, ())) for status in (old, new))
            for uid in after - before:
                if uid in self.noted:
                    self.wrong.append(f"{uid} is noted as {kind} and was as {self.noted[uid]}")
                self.noted[uid] = kind
            self.counted |= before - after
            grown = new.get(kind, 0) - old.get(kind, 0)
            if grown != len(before - after) and not (self.indexed and kind == "succeeded"):
                self.wrong.append(f"{kind} grows by {grown}, {len(before - after)} pods have left")

    def check_created(self, pod: Object) -> None:
        """A new pod is one that is lacking."""
        active = self.kubelet.active()
        if len(active) > self.bound:
            self.wrong.append(f"{len(active)} pods, {self.bound} allowed")
        if self.indexed and [index_of(other) for other in active].count(index_of(pod)) > 1:
            self.wrong.append(f"two pods of index {index_of(pod)}")

    def check_released(self, old: Object, new: Object | None) -> None:
        """A pod that has ended is noted before it is let go."""
        lets_go = TRACKING in old["metadata"].get("finalizers", ())
        lets_go = lets_go and (new is None or TRACKING not in new["metadata"].get("finalizers", ()))
        if not lets_go or not pod_state.is_terminal(old) or old["metadata"]["uid"] in self.noted:
            return
        succeeded = pod_state.phase(old) == "Succeeded"
        if self.indexed and succeeded:
            done = intervals.parse(self.kubelet.status().get("completedIndexes"), 5)
            if not intervals.has(done, index_of(old)):
                self.wrong.append(f"index {index_of(old)} is let go and not done")
        else:
            self.wrong.append(f"{old['metadata']['name']} is let go and not counted")

    # What happens

    def happens(self) -> None:
        draw = self.random.random()
        if draw < 0.04:
            suspend = not self.api.get(JOBS, "default", "work")["spec"]["suspend"]
            self.api.change_spec(JOBS, "default", "work", suspend=suspend)
        elif draw < 0.08:
            self.api.change_spec(JOBS, "default", "work", parallelism=self.random.randint(1, 3))
        else:
            self.pod_event(draw)

    def pod_event(self, draw: float) -> None:
        pods = self.kubelet.pods()
        if not pods:
            return
        pod = self.random.choice(pods)
        if pod_state.is_terminal(pod):
            if draw < 0.12:
                self.api.delete(PODS, ("default", pod["metadata"]["name"]), {})
        elif pod["metadata"].get("deletionTimestamp"):
            self.kubelet.end(pod, self.random.choice([0, 143]))
            self.kubelet.remove(pod)
        elif not pod["spec"].get("nodeName"):
            self.kubelet.run(pod)
        elif draw < 0.2:
            self.api.delete(PODS, ("default", pod["metadata"]["name"]), {})
        else:
            self.kubelet.end(pod, self.random.choice([0, 1, 1]))

    def all_goes_well(self) -> None:
        self.world.clock.advance(20.0)
        spec = self.api.get(JOBS, "default", "work")["spec"]
        if spec["suspend"]:
            self.api.change_spec(JOBS, "default", "work", suspend=False)
        for pod in self.kubelet.pods():
            if not pod_state.is_terminal(pod):
                self.kubelet.end(pod)
            if pod["metadata"].get("deletionTimestamp"):
                self.kubelet.remove(pod)

    def is_done(self) -> bool:
        status = self.kubelet.status()
        ends = [item[0] for item in self.kubelet.conditions() if item[0] != "Suspended"]
        if ends not in (["SuccessCriteriaMet", "Complete"], ["FailureTarget", "Failed"]):
            return False
        kinds = [self.noted[uid] for uid in self.counted]
        right = status.get("failed", 0) == kinds.count("failed") and set(self.noted) == self.counted
        right = right and status["uncountedTerminatedPods"] == {} and status.get("active", 0) == 0
        right = right and not any(TRACKING in pod["metadata"].get("finalizers", ()) for pod in self.kubelet.pods())
        if not self.indexed:
            right = right and status.get("succeeded", 0) == kinds.count("succeeded")
        spec = self.api.get(JOBS, "default", "work")["spec"]
        if ends[0] == "SuccessCriteriaMet":
            right = right and status["succeeded"] >= (1 if "successPolicy" in spec else spec["completions"])
        return bool(right)


@pytest.mark.parametrize("part", range(PARTS))
def test_each_pod_counts_once_under_faults(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        sim.create()
        for _ in range(120):
            await sim.world.step(sim.happens)
        await sim.world.rest(sim.all_goes_well, sim.is_done)
        await sim.world.close()

    try_seeds(part, tell)
