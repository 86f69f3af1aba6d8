"""The kubelet's pods from the API server to the runtime and back: a runtime in memory, everything else real."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.api import FakeApi, FakeInformers, fake_client

from knarr.api.registry import PODS
from knarr.apimachinery.types import Object
from knarr.component_base.clock import RealClock
from knarr.cri.fake import FakeRuntime
from knarr.cri.runtime import NOT_FOUND, CriError, ExecResult
from knarr.kubelet.cgroups import Cgroups
from knarr.kubelet.container_resources import GroupLimits
from knarr.kubelet.host import Host
from knarr.kubelet.images import ImagePuller
from knarr.kubelet.node_config import NodeConfig
from knarr.kubelet.pods import Pods
from knarr.kubelet.podworker.model import Note
from knarr.kubelet.runtime_watch import RuntimeWatch
from knarr.kubelet.status_manager import StatusManager
from knarr.kubelet.volumes.plugin import HostVolume
from knarr.wire.messages import Message


class Volumes:
    """No volumes."""

    async def prepare(self, pod: Object) -> Mapping[str, HostVolume]:
        return {}

    async def refresh(self, pod: Object) -> None: ...

    async def teardown(self, uid: str) -> None: ...

    async def over_limit(self, uid: str) -> str:
        return ""

    def prepare_subpath(self, pod: Object, container: str, index: int, volume: HostVolume, path: str) -> str:
        raise AssertionError("no volumes here")


class Objects:
    async def get(self, resource: Any, namespace: str, name: str) -> Object:
        raise AssertionError("nothing is referred to")


class NoCgroups(Cgroups):
    """A machine whose groups are left alone."""

    def make(self, group: str, limits: GroupLimits) -> None: ...

    async def remove(self, group: str) -> None: ...

    def pods(self) -> dict[str, list[str]]:
        return {}


async def no_handler(name: str) -> str:
    raise AssertionError(name)


class Node:
    """One kubelet's pods over a fake runtime and a fake API server."""

    def __init__(self, folder: Path, runtime: FakeRuntime | None = None, api: FakeApi | None = None) -> None:
        clock = RealClock()
        self.runtime = runtime or FakeRuntime(clock, ["nginx", "busybox"])
        self.api = api or FakeApi(clock)
        self.client, self.transport = fake_client(self.api)
        self.notes: list[Note] = []
        node = NodeConfig("n1", folder / "k", folder / "l", ("172.30.0.2",), cluster_dns=("10.43.0.10",))
        self.statuses = StatusManager(self.client, clock)
        images = ImagePuller(self.runtime, Objects(), clock)
        self.images = images
        self.host = Host(
            node,
            self.runtime,
            images,
            Volumes(),
            Objects(),
            NoCgroups("x", clock, folder / "cgroup"),
            clock,
            lambda pod, note: self.notes.append(note),
            no_handler,
        )
        self.pods = Pods(self.host, self.statuses)
        self.informers = FakeInformers(self.api)
        self.watch = RuntimeWatch(self.runtime, clock, self.pods.ended, self.pods.relist)
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.pods.take_stock()
        self.informers.add(PODS).listen(self.pods.changed)
        self.task = asyncio.ensure_future(self.watch.follow())
        await asyncio.sleep(0)
        await self.pods.remove_orphans()

    async def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        self.informers.close()
        await self.pods.close()
        await self.statuses.close()
        await self.images.close()

    def status(self, name: str = "web") -> Object:
        status: Object = self.api.get(PODS, "ns", name)["status"]
        return status

    def container(self, name: str = "web") -> Object:
        found: Object = self.status(name)["containerStatuses"][0]
        return found


def pod(name: str = "web", container: Object | None = None, **spec: Any) -> Object:
    app = {"name": "app", "image": "nginx", "imagePullPolicy": "IfNotPresent", **(container or {})}
    return {
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {"nodeName": "n1", "restartPolicy": "Always", "containers": [app], **spec},
        "status": {"phase": "Pending"},
    }


async def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                if condition():
                    return
            except (KeyError, IndexError, LookupError):
                pass
            await asyncio.sleep(0.005)


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[Node], Any]], None]:
    def runs(test: Callable[[Node], Any]) -> None:
        async def around() -> None:
            node = Node(tmp_path)
            await node.start()
            try:
                await test(node)
            finally:
                await node.close()

        asyncio.run(around())

    return runs


Run = Callable[[Callable[[Node], Any]], None]


def test_a_pod_comes_to_run_and_says_so(run: Run) -> None:
    async def test(node: Node) -> None:
        node.api.put(PODS, pod())
        await until(lambda: node.status()["phase"] == "Running")
        status = node.status()
        assert status["podIP"].startswith("10.42.") and status["hostIP"] == "172.30.0.2"
        assert {each["type"]: each["status"] for each in status["conditions"]} == {
            "PodReadyToStartContainers": "True",
            "Initialized": "True",
            "Ready": "True",
            "ContainersReady": "True",
            "PodScheduled": "True",
        }
        assert [note.reason for note in node.notes] == ["Pulling", "Pulled", "Created", "Started"]
        writes = [path for method, path in node.api.requests if method == "PATCH"]
        assert len(writes) <= 2, "a quick start is told in few writes"
        assert node.host.metrics.started.values == {("container",): 1}
        assert sum(node.host.metrics.starts.values[()][:-1]) == 1

    run(test)


def test_a_container_that_ends_is_started_again_and_its_end_is_told(run: Run) -> None:
    async def test(node: Node) -> None:
        node.api.put(PODS, pod())
        await until(lambda: node.status()["phase"] == "Running")
        node.runtime.exit(node.runtime.running("app")[0], 137, "OOMKilled")
        await until(lambda: node.container()["restartCount"] == 1)
        ended = node.container()["lastState"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")

    run(test)


def test_a_deleted_pod_is_stopped_deleted_and_leaves_nothing(run: Run) -> None:
    async def test(node: Node) -> None:
        node.api.put(PODS, pod())
        await until(lambda: node.status()["phase"] == "Running")
        await node.client.delete(PODS, "web", "ns")
        await until(lambda: not node.api.list(PODS))
        await until(lambda: not node.pods.all())
        assert not node.runtime.containers and not node.runtime.sandboxes
        assert not list((node.host.node.root / "pods").iterdir()) and not list(node.host.node.logs.iterdir())
        assert [note.message for note in node.notes if note.reason == "Killing"] == ["Stopping container app"]

    run(test)


def test_a_pod_deleted_at_once_goes(run: Run) -> None:
    """Its first step is given up before it has begun, and must be answered all the same."""

    async def test(node: Node) -> None:
        leaving = node.api.put(PODS, pod())
        leaving["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 5}
        node.api.put(PODS, leaving)
        await until(lambda: not node.api.list(PODS))
        await until(lambda: not node.pods.all())
        assert not node.runtime.containers and not node.runtime.sandboxes

    run(test)


def test_a_job_like_pod_succeeds_and_stays_so(run: Run) -> None:
    async def test(node: Node) -> None:
        node.api.put(PODS, pod(restartPolicy="Never"))
        await until(lambda: node.status()["phase"] == "Running")
        node.runtime.exit(node.runtime.running("app")[0], 0)
        await until(lambda: node.status()["phase"] == "Succeeded")
        assert node.container()["state"]["terminated"]["reason"] == "Completed"
        assert len(node.pods.all()) == 1

    run(test)


def test_a_missing_image_is_told(run: Run) -> None:
    async def test(node: Node) -> None:
        node.api.put(PODS, pod(container={"image": "absent"}))
        await until(lambda: node.container()["state"]["waiting"]["reason"] == "ErrImagePull")
        await until(lambda: node.container()["state"]["waiting"]["reason"] == "ImagePullBackOff")
        assert ("Normal", "BackOff", 'Back-off pulling image "absent"', "app") in [tuple_of(n) for n in node.notes]

    run(test)


def tuple_of(note: Note) -> tuple[str, str, str, str]:
    return note.type, note.reason, note.message, note.container


def test_readiness_follows_the_probe(run: Run) -> None:
    async def test(node: Node) -> None:
        answer = {"code": 1}
        node.runtime.exec_results = lambda _id, _command: ExecResult(answer["code"], b"not yet", b"")
        probe = {"exec": {"command": ["ready"]}, "periodSeconds": 0.05, "failureThreshold": 1}
        node.api.put(PODS, pod(container={"readinessProbe": probe}))
        await until(lambda: node.status()["phase"] == "Running")
        assert node.container()["ready"] is False
        await until(lambda: any(note.message == "Readiness probe failed: not yet" for note in node.notes))
        answer["code"] = 0
        await until(lambda: node.container()["ready"])

    run(test)


def test_a_failed_step_is_told_and_tried_again(run: Run) -> None:
    async def test(node: Node) -> None:
        node.runtime.fail = {
            "run_sandbox": [CriError("Unknown", "no network")],
            "create_container": [CriError("Unknown", "no space")],
        }
        node.api.put(PODS, pod())
        await until(lambda: node.status()["phase"] == "Running")
        texts = {note.reason: note.message for note in node.notes}
        assert texts["FailedCreatePodSandBox"].startswith("Failed to create pod sandbox: rpc error: code = Unknown")
        assert texts["Failed"] == "Error: no space"

    run(test)


def test_what_ran_before_the_kubelet_is_taken_over_and_orphans_end(tmp_path: Path) -> None:
    async def test() -> None:
        first = Node(tmp_path)
        await first.start()
        first.api.put(PODS, pod("stays"))
        first.api.put(PODS, pod("goes"))
        await until(lambda: all(first.status(name)["phase"] == "Running" for name in ("stays", "goes")))
        await first.close()
        before: dict[str, Message] = dict(first.runtime.containers)
        first.api.remove(PODS, ("ns", "goes"))
        started = len(first.runtime.calls)
        second = Node(tmp_path, first.runtime, first.api)
        await second.start()
        try:
            await until(lambda: len(second.runtime.sandboxes) == 1)
            assert "stays" in next(iter(second.runtime.sandboxes.values()))["metadata"]["name"]
            await until(lambda: [each["status"]["phase"] for each in second.pods.all()] == ["Running"])
            calls = {method for method, _ in second.runtime.calls[started:]}
            assert not calls & {"run_sandbox", "create_container", "start_container"}
            [kept] = second.runtime.running("app")
            assert before[kept] == second.runtime.containers[kept]
        finally:
            await second.close()

    asyncio.run(test())


def test_an_orphan_ends_however_often_the_runtime_fails(tmp_path: Path) -> None:
    async def test() -> None:
        first = Node(tmp_path)
        await first.start()
        first.api.put(PODS, pod("goes"))
        await until(lambda: first.status("goes")["phase"] == "Running")
        await first.close()
        first.api.remove(PODS, ("ns", "goes"))
        first.runtime.fail = {
            "stop_container": [CriError(NOT_FOUND, "it has gone meanwhile")],
            "stop_sandbox": [CriError("Unavailable", "the runtime was killed")],
            "remove_sandbox": [CriError("Unavailable", "and once more")],
        }
        second = Node(tmp_path, first.runtime, first.api)
        await second.start()
        try:
            await until(lambda: not second.runtime.sandboxes and not any(second.runtime.fail.values()))
        finally:
            await second.close()

    asyncio.run(test())


def test_many_pods_start_side_by_side(run: Run) -> None:
    async def test(node: Node) -> None:
        for number in range(30):
            node.api.put(PODS, pod(f"p{number}"))
        await until(lambda: all(node.status(f"p{number}")["phase"] == "Running" for number in range(30)))

    run(test)
