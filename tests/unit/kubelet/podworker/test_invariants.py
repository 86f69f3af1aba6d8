"""The promises in `worker.py`, under random lives of random pods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.apimachinery.types import Object
from knarr.kubelet.podworker import model
from knarr.kubelet.podworker.model import Exit, Moment, Seen
from knarr.kubelet.podworker.worker import PodWorker

START = datetime(2026, 1, 1, tzinfo=UTC)
PREPARING = (model.Prepare, model.RunSandbox, model.Pull, model.Start)


@st.composite
def pods(draw: st.DrawFn) -> Object:
    count = st.integers(0, 2)
    inits = [
        {"name": f"i{n}", "image": "x", **({"restartPolicy": "Always"} if draw(st.booleans()) else {})}
        for n in range(draw(count))
    ]
    mains = [
        {"name": f"m{n}", "image": "x", **({"readinessProbe": {}, "livenessProbe": {}} if draw(st.booleans()) else {})}
        for n in range(1 + draw(count))
    ]
    policy = draw(st.sampled_from(("Always", "OnFailure", "Never")))
    spec: dict[str, Any] = {"restartPolicy": policy, "initContainers": inits, "containers": mains}
    if draw(st.booleans()):
        spec["activeDeadlineSeconds"] = 50
    return {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec, "status": {}}


class World:
    """Carries instructions out in a random order, with random results, and checks the promises."""

    def __init__(self, pod: Object, data: st.DataObject) -> None:
        self.pod, self.data = pod, data
        self.worker = PodWorker(pod)
        self.mono = 0.0
        self.running: dict[str, tuple[str, int]] = {}
        self.open: list[Any] = []
        self.counts: dict[type, int] = {}
        self.wakes: list[float] = []
        self.sandboxes = self.made = 0
        self.ending = False
        self.deleted = False

    def chance(self, parts: int) -> bool:
        return self.data.draw(st.integers(1, parts)) == 1

    def moment(self) -> Moment:
        return Moment(START + timedelta(seconds=self.mono), self.mono)

    def tell(self, event: model.Event) -> None:
        for order in self.worker.handle(event, self.moment()):
            self.take(order)
        status = self.worker.status(self.moment())
        if status["phase"] in ("Succeeded", "Failed"):
            assert not self.running, "a terminal phase while something runs"

    def take(self, order: Any) -> None:
        self.counts[type(order)] = self.counts.get(type(order), 0) + 1
        if isinstance(order, PREPARING):
            assert not self.worker.ending, f"{order} after the end began"
            assert not any(isinstance(each, PREPARING) for each in self.open), "two preparations at once"
        if isinstance(order, model.Start):
            assert all(name != order.name for name, _ in self.running.values()), "started what runs"
        if isinstance(order, model.StopSandbox):
            assert not self.running, "the sandbox went before its containers"
        if isinstance(order, model.Wake):
            assert order.at > self.mono
            self.wakes.append(order.at)
        elif not isinstance(order, (model.Note, model.Remove, model.CancelWork)):
            self.open.append(order)

    def finish(self, order: Any) -> None:
        """Answer one instruction."""
        self.open.remove(order)
        good = not self.chance(4)
        match order:
            case model.Prepare():
                self.tell(model.Prepared() if good else model.PrepareFailed("no"))
            case model.RunSandbox():
                self.sandboxes += 1
                self.tell(
                    model.SandboxStarted(f"s{self.sandboxes}", ("1.2.3.4",)) if good else model.SandboxFailed("no")
                )
            case model.Pull(name):
                self.tell(model.ImageReady(name, "sha256:1") if good else model.ImageFailed(name, "ErrImagePull", "no"))
            case model.Start(name, attempt, _):
                if not good:
                    self.tell(model.ContainerFailed(name, "CreateContainerError", "no"))
                    return
                self.made += 1
                container_id = f"c{self.made}"
                self.running[container_id] = (name, attempt)
                self.tell(model.ContainerStarted(name, Seen(container_id, attempt, "x", "y", self.moment().wall)))
            case model.Stop(_, container_id, _, _):
                self.end(container_id, 143)
            case model.StopSandbox():
                self.tell(model.SandboxStopped())
            case model.TearDown():
                self.tell(model.TornDown())

    def end(self, container_id: str, code: int) -> None:
        if container_id not in self.running:
            return
        name, attempt = self.running.pop(container_id)
        now = self.moment().wall
        ended = Exit(container_id, code, "Error", "", now, now)
        self.tell(model.ContainerSeen(name, Seen(container_id, attempt, "x", "y", now, ended)))

    def disturb(self) -> None:
        """Something that nobody ordered."""
        what = self.data.draw(st.sampled_from(("exit", "probe", "sandbox", "wait", "wait", "tick")))
        if what == "exit" and self.running:
            self.end(self.data.draw(st.sampled_from(sorted(self.running))), self.data.draw(st.sampled_from((0, 1))))
        elif what == "probe" and self.running:
            container_id = self.data.draw(st.sampled_from(sorted(self.running)))
            kind = self.data.draw(st.sampled_from(("readiness", "liveness")))
            self.tell(model.ProbeChanged(self.running[container_id][0], container_id, kind, self.chance(2)))
        elif what == "sandbox" and self.worker.sandbox_id and self.chance(3):
            self.tell(model.SandboxLost(self.worker.sandbox_id))
        elif what == "tick":
            self.tell(model.Tick(retry=True))
        elif self.wakes:
            self.mono = max(self.mono, min(self.wakes))
            self.wakes = [each for each in self.wakes if each > self.mono]
            self.tell(model.Tick())

    def delete(self) -> None:
        meta = {**self.pod["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 1}
        self.tell(model.PodChanged({**self.pod, "metadata": meta}))


@settings(max_examples=150)
@given(pods(), st.data())
def test_whatever_happens_a_deleted_pod_ends_in_order(pod: Object, data: st.DataObject) -> None:
    world = World(pod, data)
    world.tell(model.Adopted("", -1, (), {}))
    for _ in range(data.draw(st.integers(0, 40))):
        if world.open and not world.chance(4):
            world.finish(data.draw(st.sampled_from(world.open)))
        else:
            world.disturb()
    world.delete()
    for _ in range(100):
        if not [each for each in world.open if not isinstance(each, (model.DeletePod, model.Purge))]:
            break
        world.finish(next(each for each in world.open if not isinstance(each, (model.DeletePod, model.Purge))))
    assert not world.running
    for once in (model.TearDown, model.DeletePod, model.Purge):
        assert world.counts.get(once) == 1, once
    assert world.worker.status(world.moment())["phase"] in ("Succeeded", "Failed")


@settings(max_examples=100)
@given(pods(), st.data())
def test_a_pod_left_alone_comes_to_run_or_to_end(pod: Object, data: st.DataObject) -> None:
    world = World(pod, data)
    world.chance = lambda parts: False  # type: ignore[method-assign] # nothing fails any more
    world.tell(model.Adopted("", -1, (), {}))
    for _ in range(60):
        if not world.open and not any(name.startswith("i") for name, _ in world.running.values()):
            break
        for container_id, (name, _) in list(world.running.items()):
            record = world.worker.records[name]
            if record.kind == "init":
                world.end(container_id, 0)
        if world.open:
            world.finish(world.open[0])
    assert world.worker.status(world.moment())["phase"] == "Running"
