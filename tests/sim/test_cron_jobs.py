"""CronJobs under faults: late and broken watches, lost requests and answers, crashes after any change.

Whatever happens, no start is made twice, what forbids and what replaces never has two Jobs that run, `lastScheduleTime`
never goes back, and in the end the status names exactly the Jobs that run.
"""

from __future__ import annotations

import pytest
from tests.fakes.api import Change
from tests.fakes.jobs import job
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import CRONJOBS, JOBS
from knarr.api.semantics.jobs import is_finished
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller import ttl_after_finished
from knarr.controller.cronjob import CONTROLLER

BOTH = (CONTROLLER, ttl_after_finished.CONTROLLER)
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"


class Sim:
    """A CronJob whose every step is drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.world = FaultyWorld(BOTH, seed)
        self.random, self.api, self.wrong = self.world.random, self.world.api, self.world.wrong
        self.policy = self.random.choice(["Allow", "Forbid", "Replace"])
        self.starts: set[str] = set()
        self.api.listeners.append(self.on_change)

    def create(self) -> None:
        template = {"spec": job(ttlSecondsAfterFinished=90)["spec"]}
        spec = {
            "schedule": self.random.choice(["* * * * *", "*/2 * * * *", "@every 1m"]),
            "concurrencyPolicy": self.policy,
            "successfulJobsHistoryLimit": 2,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": template,
        }
        self.api.create(CRONJOBS, {"metadata": {"name": "tick", "namespace": "default"}, "spec": spec})

    def running(self) -> list[Object]:
        jobs = self.api.list(JOBS)
        return [item for item in jobs if not is_finished(item) and not item["metadata"].get("deletionTimestamp")]

    def last(self) -> str:
        """The last start that the status knows; one whose Job was deleted before it got there leaves no trace."""
        found: str = (self.api.get(CRONJOBS, "default", "tick").get("status") or {}).get("lastScheduleTime", "")
        return found

    def on_change(self, change: Change) -> None:
        resource, old, new, _ = change
        if resource is JOBS and old is None and new is not None:
            start = new["metadata"]["annotations"][SCHEDULED]
            if start in self.starts and start <= self.last():
                self.wrong.append(f"{start} is made twice")
            self.starts.add(start)
            if self.policy != "Allow" and len(self.running()) > 1:
                self.wrong.append(f"{len(self.running())} run, and the policy is {self.policy}")
        elif resource is CRONJOBS and old is not None and new is not None:
            times = [(item.get("status") or {}).get("lastScheduleTime", "") for item in (old, new)]
            if times[1] < times[0]:
                self.wrong.append(f"the last start was {times[0]} and is {times[1]}")

    def happens(self) -> None:
        draw = self.random.random()
        if draw < 0.3:
            self.world.clock.advance(self.random.choice([5.0, 20.0, 61.0]))
        elif draw < 0.7:
            self.end_one()
        elif draw < 0.75:
            for item in self.random.sample(list(self.api.list(JOBS)), min(1, len(self.api.list(JOBS)))):
                self.api.remove(JOBS, ("default", item["metadata"]["name"]))
        else:
            self.collect()

    def end_one(self) -> None:
        for item in self.running()[:1]:
            now = timestamps.seconds(self.world.clock.now())
            kind = self.random.choice(["Complete", "Failed"])
            condition = {"type": kind, "status": "True", "lastTransitionTime": now}
            more = {"completionTime": now} if kind == "Complete" else {}
            name = item["metadata"]["name"]
            self.api.set_status(JOBS, "default", name, startTime=now, conditions=[condition], **more)

    def collect(self) -> None:
        """The garbage collector removes what is being deleted in the foreground."""
        for item in list(self.api.list(JOBS)):
            if item["metadata"].get("deletionTimestamp"):
                self.api.remove(JOBS, ("default", item["metadata"]["name"]))

    def is_done(self) -> bool:
        status = self.api.get(CRONJOBS, "default", "tick").get("status") or {}
        named = sorted(ref["name"] for ref in status.get("active") or ())
        return named == sorted(item["metadata"]["name"] for item in self.running())


@pytest.mark.parametrize("part", range(PARTS))
def test_each_start_is_made_once_under_faults(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        sim.create()
        for _ in range(100):
            await sim.world.step(sim.happens)
        await sim.world.rest(sim.collect, sim.is_done)
        await sim.world.close()

    try_seeds(part, tell)
