"""What a pod worker orders, step by step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from knarr.apimachinery.types import Object
from knarr.kubelet.podworker import model
from knarr.kubelet.podworker.model import Exit, Instruction, Moment, Seen
from knarr.kubelet.podworker.worker import PodWorker

START = datetime(2026, 1, 1, tzinfo=UTC)


def pod(*containers: Object, **spec: Any) -> Object:
    mains = [dict(each) for each in containers] or [{"name": "app", "image": "nginx"}]
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "generation": 1},
        "spec": {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "containers": mains, **spec},
        "status": {"phase": "Pending"},
    }


class Bench:
    """A worker, the time, and what it has ordered since it was last looked."""

    def __init__(self, obj: Object) -> None:
        self.worker = PodWorker(obj, ("10.0.0.1",))
        self.mono = 100.0
        self.ids = 0
        self.orders: list[Instruction] = []
        self.tell(model.Adopted("", -1, (), {}))

    @property
    def now(self) -> Moment:
        return Moment(START + timedelta(seconds=self.mono), self.mono)

    def tell(self, event: model.Event) -> list[Instruction]:
        self.orders = self.worker.handle(event, self.now)
        return self.orders

    def ordered(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.orders if isinstance(each, kind)]

    def to_sandbox(self) -> None:
        self.tell(model.Prepared())
        self.tell(model.SandboxStarted("s", ("10.42.0.2",)))

    def start(self, name: str) -> str:
        """Answer the pull and the start that were ordered for a container; gives its id."""
        assert self.ordered(model.Pull) == [model.Pull(name)]
        self.tell(model.ImageReady(name, "sha256:1"))
        [order] = self.ordered(model.Start)
        assert order.name == name
        self.ids += 1
        container_id = f"c{self.ids}"
        self.tell(model.ContainerStarted(name, Seen(container_id, order.attempt, "nginx", "sha256:1", self.now.wall)))
        return container_id

    def exit(self, name: str, container_id: str, code: int) -> None:
        ended = Exit(container_id, code, "Error" if code else "Completed", "", self.now.wall, self.now.wall)
        attempt = max(self.worker.records[name].attempt, 0)
        self.tell(model.ContainerSeen(name, Seen(container_id, attempt, "nginx", "sha256:1", self.now.wall, ended)))

    def wait(self) -> None:
        """Until the worker wanted to be woken."""
        [wake] = self.ordered(model.Wake)
        self.mono = wake.at
        self.tell(model.Tick())

    def status(self) -> Object:
        return self.worker.status(self.now)

    def condition(self, kind: str) -> Object:
        return next(each for each in self.status()["conditions"] if each["type"] == kind)


def test_a_pod_is_prepared_sandboxed_and_its_containers_start_one_after_the_other() -> None:
    bench = Bench(pod({"name": "a", "image": "x"}, {"name": "b", "image": "y"}))
    assert bench.orders == [model.Prepare()]
    assert bench.tell(model.Prepared()) == [model.RunSandbox(0)]
    assert bench.tell(model.SandboxStarted("s", ("10.42.0.2",))) == [model.Pull("a")]
    assert bench.condition("PodReadyToStartContainers")["status"] == "True"
    bench.start("a")
    assert bench.status()["phase"] == "Pending"
    bench.start("b")
    status = bench.status()
    assert status["phase"] == "Running" and bench.condition("Ready")["status"] == "True"
    assert status["podIPs"] == [{"ip": "10.42.0.2"}] and status["hostIP"] == "10.0.0.1"
    assert [each["state"].keys() for each in status["containerStatuses"]] == [{"running"}, {"running"}]


def test_restarts_wait_ever_longer_and_are_told_as_crash_loop() -> None:
    bench = Bench(pod())
    bench.to_sandbox()
    container_id = bench.start("app")
    waits = []
    for _ in range(8):
        bench.exit("app", container_id, 1)
        before = bench.mono
        if not bench.ordered(model.Pull):
            [note] = bench.ordered(model.Note)
            assert (note.type, note.reason, note.container) == ("Warning", "BackOff", "app")
            state = bench.status()["containerStatuses"][0]
            assert state["state"]["waiting"]["reason"] == "CrashLoopBackOff"
            assert state["lastState"]["terminated"]["exitCode"] == 1
            bench.wait()
        waits.append(bench.mono - before)
        container_id = bench.start("app")
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]
    assert bench.status()["containerStatuses"][0]["restartCount"] == 8
    bench.mono += 700
    bench.exit("app", container_id, 1)
    assert bench.ordered(model.Pull) == [model.Pull("app")]


@pytest.mark.parametrize(("policy", "code", "phase"), [("Never", 1, "Failed"), ("OnFailure", 0, "Succeeded")])
def test_a_pod_whose_containers_need_no_restart_ends(policy: str, code: int, phase: str) -> None:
    bench = Bench(pod(restartPolicy=policy))
    bench.to_sandbox()
    bench.exit("app", bench.start("app"), code)
    assert bench.orders == [model.StopSandbox()]
    assert bench.tell(model.SandboxStopped()) == [model.TearDown()]
    assert bench.tell(model.TornDown()) == []
    assert bench.status()["phase"] == phase
    reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
    assert bench.condition("Ready")["reason"] == reason


def test_restart_rules_of_a_container_beat_its_policy() -> None:
    rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
    container = {"name": "app", "image": "x", "restartPolicy": "Never", "restartPolicyRules": [rule]}
    bench = Bench(pod(container, restartPolicy="Never"))
    bench.to_sandbox()
    bench.exit("app", bench.start("app"), 42)
    bench.exit("app", bench.start("app"), 3)
    assert bench.orders == [model.StopSandbox()]


def test_init_containers_run_in_order_and_sidecars_stay() -> None:
    inits = [
        {"name": "i1", "image": "x"},
        {"name": "side", "image": "x", "restartPolicy": "Always", "startupProbe": {}},
        {"name": "i2", "image": "x"},
    ]
    bench = Bench(pod(initContainers=inits))
    bench.to_sandbox()
    first = bench.start("i1")
    assert not bench.ordered(model.Pull)
    assert bench.condition("Initialized")["message"] == "containers with incomplete status: [i1 side i2]"
    bench.exit("i1", first, 0)
    side = bench.start("side")
    assert not bench.ordered(model.Pull), "the sidecar has not started up yet"
    bench.tell(model.ProbeChanged("side", side, "startup", True))
    bench.exit("i2", bench.start("i2"), 0)
    main = bench.start("app")
    assert bench.status()["phase"] == "Running"
    bench.exit("side", side, 1)
    side = bench.start("side")
    bench.tell(model.PodRemoved())
    assert [each.name for each in bench.ordered(model.Stop)] == ["app"]
    bench.exit("app", main, 0)
    assert [each.name for each in bench.ordered(model.Stop)] == ["side"]
    bench.exit("side", side, 0)
    assert bench.orders == [model.StopSandbox()]


def test_a_failed_init_container_is_repeated_unless_the_policy_is_never() -> None:
    inits = [{"name": "i", "image": "x"}]
    again = Bench(pod(initContainers=inits))
    again.to_sandbox()
    again.exit("i", again.start("i"), 1)
    assert again.ordered(model.Pull) == [model.Pull("i")]
    never = Bench(pod(initContainers=inits, restartPolicy="Never"))
    never.to_sandbox()
    never.exit("i", never.start("i"), 1)
    never.tell(model.SandboxStopped())
    status = never.status()
    assert status["phase"] == "Failed"
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"


def test_a_failed_pull_is_told_as_such_then_as_back_off_and_tried_again() -> None:
    bench = Bench(pod())
    bench.to_sandbox()
    bench.tell(model.ImageFailed("app", "ErrImagePull", "rpc error: not found"))
    waiting = bench.status()["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "ErrImagePull", "message": "rpc error: not found"}
    bench.wait()
    assert [each.message for each in bench.ordered(model.Note)] == [
        'Back-off pulling image "nginx"',
        "Error: ImagePullBackOff",
    ]
    waiting = bench.status()["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert waiting["message"] == 'Back-off pulling image "nginx": ErrImagePull: rpc error: not found'
    bench.wait()
    assert bench.mono == 110 and bench.ordered(model.Pull) == [model.Pull("app")]


def test_a_deleted_pod_stops_ends_and_is_deleted_once() -> None:
    bench = Bench(pod())
    bench.to_sandbox()
    container_id = bench.start("app")
    deleted = pod()
    deleted["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 5}
    assert bench.tell(model.PodChanged(deleted)) == [model.Stop("app", container_id, 5, "Stopping container app")]
    assert bench.tell(model.PodChanged(deleted)) == []
    bench.exit("app", container_id, 137)
    bench.tell(model.SandboxStopped())
    assert bench.tell(model.TornDown()) == [model.DeletePod(), model.Purge()]
    assert bench.status()["phase"] == "Failed"
    assert bench.tell(model.PodRemoved()) == []


def test_a_shorter_grace_stops_again() -> None:
    bench = Bench(pod())
    bench.to_sandbox()
    bench.start("app")
    deleted = pod()
    deleted["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}
    bench.tell(model.PodChanged(deleted))
    bench.tell(model.PodRemoved())
    assert bench.orders == []
    deleted["metadata"]["deletionGracePeriodSeconds"] = 0
    bench.tell(model.PodChanged(deleted))
    assert [each.grace for each in bench.ordered(model.Stop)] == [1]


def test_what_ran_before_is_adopted_and_not_restarted() -> None:
    seen = Seen("old", 2, "nginx", "sha256:1", START)
    bench = Bench(pod())
    bench.worker = PodWorker(pod(), ("10.0.0.1",))
    bench.tell(model.Adopted("s", 0, ("10.42.0.2",), {"app": (seen,)}))
    assert bench.orders == [model.Prepare()]
    assert bench.tell(model.Prepared()) == []
    status = bench.status()
    assert status["phase"] == "Running" and status["containerStatuses"][0]["restartCount"] == 2


def test_a_lost_sandbox_is_renewed_and_init_containers_run_again() -> None:
    bench = Bench(pod(initContainers=[{"name": "i", "image": "x"}]))
    bench.to_sandbox()
    bench.exit("i", bench.start("i"), 0)
    main = bench.start("app")
    bench.tell(model.SandboxLost("s"))
    assert [each.name for each in bench.ordered(model.Stop)] == ["app"]
    bench.exit("app", main, 137)
    assert bench.ordered(model.RunSandbox) == [model.RunSandbox(1)]
    bench.tell(model.SandboxStarted("s2", ("10.42.0.3",)))
    init = bench.start("i")
    assert not bench.ordered(model.Pull), "the main container waits for the init container again"
    bench.exit("i", init, 0)
    bench.start("app")
    assert bench.status()["phase"] == "Running"


def test_an_end_seen_before_the_start_was_answered_counts() -> None:
    bench = Bench(pod(restartPolicy="Never"))
    bench.to_sandbox()
    bench.tell(model.ImageReady("app", "sha256:1"))
    bench.exit("app", "quick", 0)
    bench.tell(model.ContainerStarted("app", Seen("quick", 0, "nginx", "sha256:1", bench.now.wall)))
    assert bench.orders == [model.StopSandbox()]


def test_a_failed_liveness_probe_stops_and_readiness_shows() -> None:
    probes = {"name": "app", "image": "x", "livenessProbe": {}, "readinessProbe": {}}
    bench = Bench(pod(probes))
    bench.to_sandbox()
    container_id = bench.start("app")
    assert bench.condition("Ready")["message"] == "containers with unready status: [app]"
    bench.tell(model.ProbeChanged("app", container_id, "readiness", True))
    assert bench.condition("Ready")["status"] == "True"
    bench.tell(model.ProbeChanged("app", container_id, "liveness", False))
    text = "Container app failed liveness probe, will be restarted"
    assert bench.orders == [model.Stop("app", container_id, 30, text)]


def test_the_deadline_of_a_pod_fails_it() -> None:
    bench = Bench(pod(activeDeadlineSeconds=60))
    bench.to_sandbox()
    container_id = bench.start("app")
    bench.wait()
    assert [each.grace for each in bench.ordered(model.Stop)] == [30]
    assert bench.status()["phase"] == "Running"
    bench.exit("app", container_id, 0)
    bench.tell(model.SandboxStopped())
    status = bench.status()
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")


def test_readiness_gates_hold_ready_back() -> None:
    bench = Bench(pod(readinessGates=[{"conditionType": "example.com/gate"}]))
    bench.to_sandbox()
    bench.start("app")
    assert bench.condition("ContainersReady")["status"] == "True"
    expected = 'corresponding condition of pod readiness gate "example.com/gate" does not exist.'
    assert bench.condition("Ready")["message"] == expected


def test_a_changed_image_restarts_the_container() -> None:
    bench = Bench(pod(restartPolicy="Never"))
    bench.to_sandbox()
    container_id = bench.start("app")
    bench.tell(model.PodChanged(pod({"name": "app", "image": "nginx:2"}, restartPolicy="Never")))
    text = "Container app definition changed, will be restarted"
    assert bench.orders == [model.Stop("app", container_id, 30, text)]
    bench.exit("app", container_id, 0)
    bench.start("app")


def test_an_evicted_pod_fails_with_the_reason_once_its_containers_have_ended() -> None:
    bench = Bench(pod())
    bench.to_sandbox()
    container_id = bench.start("app")
    assert bench.tell(model.Evict("Evicted", "too much", 1)) == [
        model.Note("Warning", "Evicted", "too much"),
        model.Stop("app", container_id, 1, "Stopping container app"),
    ]
    assert bench.tell(model.Evict("Evicted", "too much", 1)) == []
    bench.exit("app", container_id, 137)
    status = bench.status()
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Evicted", "too much")
