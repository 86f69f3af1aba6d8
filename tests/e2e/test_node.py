"""One cluster, real containers: what pods do on a node, and what kills of its processes do to them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from knarr.api.registry import CONFIGMAPS, EVENTS, PODS
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.client.http import HttpTransport
from knarr.cmd import clusters, members
from knarr.component_base import kubeconfig
from knarr.cri.image_builder import Recipe, build

pytestmark = [
    pytest.mark.root,
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: runs containers"),
    pytest.mark.skipif(shutil.which("containerd") is None, reason="containerd is not installed"),
    pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox-static is not installed"),
]

NAME = f"node{os.getpid()}"
_APPLETS = ("sh", "sleep", "wget", "nc", "cat", "echo", "httpd", "touch", "mkdir", "dd", "tail", "true", "id", "ls")


def knarr(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "knarr.cmd.main", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cluster with the image `busybox`; gives its kubeconfig."""
    folder = tmp_path_factory.mktemp("node")
    config, archive = folder / "kubeconfig", folder / "busybox.tar"
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    links = {f"bin/{name}": "busybox" for name in _APPLETS}
    archive.write_bytes(build(Recipe("docker.io/library/busybox:latest", {"bin/busybox": (busybox, 0o755)}, links)))
    knarr("up", "--name", NAME, "--port", "0", "--kubeconfig", str(config), "--data-dir", str(folder / "data"))
    try:
        knarr("images", "import", str(archive), "--name", NAME)
        yield config
    finally:
        knarr("down", "--name", NAME)


Test = Callable[["Cluster"], Awaitable[None]]


class Cluster:
    """The cluster as a user sees it."""

    def __init__(self, config: Path) -> None:
        self.transport = HttpTransport(kubeconfig.load(config), "test")
        self.client = Client(self.transport)

    async def run(self, name: str, script: str = "sleep 1000", **more: Any) -> None:
        """Create a pod of one container; `more` goes into its spec, `app` into the container."""
        app = {"name": "app", "image": "busybox", "imagePullPolicy": "IfNotPresent", **more.pop("app", {})}
        app.setdefault("command", ["sh", "-c", script])
        spec = {"terminationGracePeriodSeconds": 1, "containers": [app], **more}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        await self.client.create(PODS, body, "default")

    async def pod(self, name: str) -> Object:
        return await self.client.get(PODS, name, "default")

    async def until(self, name: str, condition: Callable[[Object], Any], seconds: float = 120) -> Object:
        """Wait until a pod's status is as wanted; gives it."""
        status: Object = {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    status = (await self.pod(name)).get("status") or {}
                    if condition(status):
                        return status
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{name}: {status}") from None

    async def running(self, name: str) -> Object:
        return await self.until(name, lambda status: status.get("phase") == "Running" and is_ready(status))

    async def log(self, name: str, container: str = "app", **query: str) -> str:
        path = f"/api/v1/namespaces/default/pods/{name}/log"
        answer = await self.client.transport.request("GET", path, {"container": container, **query})
        assert answer.status == 200, answer.body
        return answer.body.decode()

    async def delete(self, *names: str) -> None:
        for name in names:
            await self.client.delete(PODS, name, "default")
        async with asyncio.timeout(90):
            for name in names:
                while True:
                    try:
                        await self.pod(name)
                    except StatusError as error:
                        assert error.code == 404
                        break
                    await asyncio.sleep(0.05)

    async def events(self, name: str) -> set[tuple[str, str]]:
        listed = await self.client.list(EVENTS, "default", fieldSelector=f"involvedObject.name={name}")
        return {(each["reason"], each["message"]) for each in listed["items"]}


async def eventually(check: Callable[[], Awaitable[bool]], seconds: float = 120) -> None:
    """Wait until a check is true."""
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110 - asked of servers, which tell nothing
            await asyncio.sleep(0.05)


def is_ready(status: Object) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())


def app(status: Object) -> Object:
    found: Object = status["containerStatuses"][0]
    return found


@pytest.fixture
def run(cluster: Path) -> Callable[[Test], None]:
    def runs(test: Test) -> None:
        async def around() -> None:
            one = Cluster(cluster)
            try:
                await test(one)
            finally:
                await one.client.close()

        asyncio.run(around())

    return runs


Run = Callable[[Test], None]


def test_init_containers_sidecars_and_volumes_work_together(run: Run) -> None:
    mount = {"name": "shared", "mountPath": "/shared"}

    async def test(cluster: Cluster) -> None:
        data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "words"}, "data": {"greeting": "hi"}}
        await cluster.client.create(CONFIGMAPS, data, "default")
        common = {"image": "busybox", "imagePullPolicy": "IfNotPresent", "volumeMounts": [mount]}
        inits = [
            {"name": "first", "command": ["sh", "-c", "echo one > /shared/f"], **common},
            {"name": "side", "command": ["sh", "-c", "sleep 1000"], "restartPolicy": "Always", **common},
            {"name": "second", "command": ["sh", "-c", "echo two >> /shared/f"], **common},
        ]
        volumes = [{"name": "shared", "emptyDir": {}}, {"name": "words", "configMap": {"name": "words"}}]
        await cluster.run(
            "many",
            "cat /shared/f /words/greeting; echo $WORD; id -u; sleep 1000",
            app={
                "volumeMounts": [mount, {"name": "words", "mountPath": "/words"}],
                "env": [{"name": "WORD", "valueFrom": {"configMapKeyRef": {"name": "words", "key": "greeting"}}}],
                "securityContext": {"runAsUser": 1000},
            },
            initContainers=inits,
            volumes=volumes,
        )
        status = await cluster.running("many")
        assert [list(each["state"]) for each in status["initContainerStatuses"]] == [
            ["terminated"],
            ["running"],
            ["terminated"],
        ]

        async def said() -> bool:
            return (await cluster.log("many")).split() == ["one", "two", "hihi", "1000"]

        await eventually(said)
        await cluster.delete("many")

    run(test)


def test_a_container_that_fails_restarts_with_back_off_and_its_last_words_are_kept(run: Run) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.run("loop", "echo talk; echo farewell > /dev/termination-log; exit 3")

        def looping(status: Object) -> bool:
            waiting = app(status)["state"].get("waiting", {}) if status.get("containerStatuses") else {}
            return waiting.get("reason") == "CrashLoopBackOff"

        status = app(await cluster.until("loop", looping))
        ended = status["lastState"]["terminated"]
        assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "farewell\n")
        assert status["restartCount"] == 1
        assert await cluster.log("loop", previous="true") == "talk\n"
        uid = (await cluster.pod("loop"))["metadata"]["uid"]
        message = f"Back-off restarting failed container app in pod loop_default({uid})"

        async def told() -> bool:
            return ("BackOff", message) in await cluster.events("loop")

        await eventually(told)
        await cluster.delete("loop")

    run(test)


def test_running_out_of_memory_is_told_as_such(run: Run) -> None:
    async def test(cluster: Cluster) -> None:
        limits = {"resources": {"limits": {"memory": "20Mi"}}}
        await cluster.run(
            "hungry", "exec dd if=/dev/zero of=/dev/null bs=100M count=1", app=limits, restartPolicy="Never"
        )
        status = await cluster.until("hungry", lambda status: status.get("phase") == "Failed")
        ended = app(status)["state"]["terminated"]
        assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
        await cluster.delete("hungry")

    run(test)


def test_hooks_and_grace_give_a_container_its_time(run: Run) -> None:
    async def test(cluster: Cluster) -> None:
        touch = {"exec": {"command": ["touch", "/shared/begun"]}}
        say = {"exec": {"command": ["sh", "-c", "echo stopping > /proc/1/fd/1"]}}
        script = (
            "trap 'echo bye; exit 0' TERM; while [ ! -e /shared/begun ]; do sleep 0.05; done; "
            "echo begun; sleep 1000 & wait"
        )
        await cluster.run(
            "hooked",
            script,
            app={
                "lifecycle": {"postStart": touch, "preStop": say},
                "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
            },
            volumes=[{"name": "shared", "emptyDir": {}}],
            terminationGracePeriodSeconds=20,
        )
        await cluster.running("hooked")

        async def begun() -> bool:
            return await cluster.log("hooked") == "begun\n"

        await eventually(begun)
        path = "/api/v1/namespaces/default/pods/hooked/log"
        following = await cluster.transport.stream("GET", path, [("container", "app"), ("follow", "true")])
        said = await anext(following)
        await cluster.delete("hooked")
        async for more in following:
            said += more
        assert said == b"begun\nstopping\nbye\n"

    run(test)


def test_a_liveness_probe_restarts_and_a_readiness_probe_waits(run: Run, tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        probes = {
            "livenessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1, "timeoutSeconds": 60},
            "volumeMounts": [{"name": "host", "mountPath": "/host"}],
            "readinessProbe": {"httpGet": {"path": "/ok", "port": 8080}, "periodSeconds": 1},
        }
        script = "mkdir -p /w; until [ -e /host/go ]; do sleep 0.05; done; echo ok > /w/ok; httpd -f -p 8080 -h /w"
        volumes = [{"name": "host", "hostPath": {"path": str(tmp_path)}}]
        await cluster.run("probed", script, app=probes, volumes=volumes)
        await cluster.until("probed", lambda status: status.get("phase") == "Running" and not is_ready(status))
        (tmp_path / "go").touch()
        await cluster.running("probed")
        await cluster.delete("probed")
        probes = {"livenessProbe": {"exec": {"command": ["cat", "/absent"]}, "periodSeconds": 1, "failureThreshold": 1}}
        await cluster.run("dying", app=probes)
        await cluster.until("dying", lambda status: status.get("containerStatuses") and app(status)["restartCount"] > 0)
        killing = ("Killing", "Container app failed liveness probe, will be restarted")

        async def told() -> bool:
            return killing in await cluster.events("dying")

        await eventually(told)
        await cluster.delete("dying")

    run(test)


def test_an_image_that_does_not_exist_is_told(run: Run) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.run("pictureless", app={"image": "localhost:1/absent:1", "imagePullPolicy": "Always"})

        def waits(reason: str) -> Callable[[Object], bool]:
            return lambda status: bool(
                status.get("containerStatuses") and app(status)["state"].get("waiting", {}).get("reason") == reason
            )

        await cluster.until("pictureless", waits("ErrImagePull"))
        await cluster.until("pictureless", waits("ImagePullBackOff"))
        reasons = {reason for reason, _ in await cluster.events("pictureless")}
        assert {"Pulling", "Failed", "BackOff"} <= reasons
        await cluster.delete("pictureless")

    run(test)


def _process(which: str) -> int:
    cluster = clusters.load(NAME)
    assert cluster is not None
    if which == "containerd":
        return int((Path(cluster.data_dir) / "agent" / "run" / "containerd.pid").read_text())
    found = members.holder(NAME, which)
    return found.pid if found else 0


@pytest.mark.parametrize("which", ["agent", "containerd", "server"])
def test_a_killed_process_comes_back_and_restarts_no_container(run: Run, which: str) -> None:
    async def test(cluster: Cluster) -> None:
        for number in range(3):
            await cluster.run(f"stays{number}", "httpd -f -p 8080")
        before = {}
        for number in range(3):
            status = await cluster.running(f"stays{number}")
            before[f"stays{number}"] = (app(status)["containerID"], app(status)["state"]["running"]["startedAt"])
        old = _process(which)
        os.kill(old, signal.SIGKILL)

        async def back() -> bool:
            return _process(which) not in (0, old)

        await eventually(back)
        async with asyncio.timeout(90):
            while True:
                try:
                    await cluster.run("after")
                    break
                except ConnectionError:
                    await asyncio.sleep(0.1)
        await cluster.running("after")
        for name, (container_id, started) in before.items():
            status = await cluster.running(name)
            assert app(status)["restartCount"] == 0
            assert (app(status)["containerID"], app(status)["state"]["running"]["startedAt"]) == (container_id, started)
        await cluster.delete("after", *before)

    run(test)


def _groups(uid: str) -> list[Path]:
    """The control groups of a pod of class BestEffort that exist."""
    group = f"knarr-{NAME}/kubepods/besteffort/pod{uid}"
    top = Path("/sys/fs/cgroup")
    return [path for path in (top / group, *top.glob(f"*/{group}")) if path.is_dir()]


def _pause_of(uid: str) -> int:
    """The process that holds a pod's namespaces: the one named so in the pod's control group."""
    [group] = [path for path in _groups(uid) if path.parts[4] == "memory"]
    for procs in group.glob("*/cgroup.procs"):
        for pid in procs.read_text().split():
            if "pause" in Path(f"/proc/{pid}/cmdline").read_text():
                return int(pid)
    raise AssertionError(f"no pause in {group}")


@pytest.mark.skipif(not Path("/sys/fs/cgroup/memory").is_dir(), reason="looks for processes in cgroup v1")
def test_a_pod_whose_sandbox_dies_gets_a_new_one(run: Run) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.run("roofless")
        before = app(await cluster.running("roofless"))["containerID"]
        os.kill(_pause_of((await cluster.pod("roofless"))["metadata"]["uid"]), signal.SIGKILL)

        def renewed(status: Object) -> bool:
            return app(status)["containerID"] != before and is_ready(status)

        status = await cluster.until("roofless", renewed)
        assert app(status)["restartCount"] == 1
        assert "SandboxChanged" in {reason for reason, _ in await cluster.events("roofless")}
        await cluster.delete("roofless")

    run(test)


def test_a_pod_that_went_while_the_agent_was_away_is_ended(run: Run) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.run("orphan", "sleep 1000")
        await cluster.running("orphan")
        uid = (await cluster.pod("orphan"))["metadata"]["uid"]
        supervisor = _process("supervisor")
        os.kill(supervisor, signal.SIGSTOP)
        try:
            os.kill(_process("agent"), signal.SIGKILL)
            await cluster.client.delete(PODS, "orphan", "default", {"gracePeriodSeconds": 0})
        finally:
            os.kill(supervisor, signal.SIGCONT)

        async def gone() -> bool:
            return not _groups(uid)

        await eventually(gone)

    run(test)


def test_pods_of_the_nodes_network_and_ports_of_the_node(run: Run) -> None:
    async def test(cluster: Cluster) -> None:
        serve = "mkdir /w; echo 1 > /w/f; httpd -f -p 8080 -h /w"
        await cluster.run("ported", serve, app={"ports": [{"containerPort": 8080, "hostPort": 18080}]})
        await cluster.running("ported")
        node = (await cluster.pod("ported"))["status"]["hostIP"]
        ask = f"wget -q -O - http://{node}:18080/f; cat /etc/hosts | tail -1; sleep 1000"
        await cluster.run("hosted", ask, hostNetwork=True)
        status = await cluster.running("hosted")
        assert status["podIP"] == status["hostIP"] == node

        async def answered() -> bool:
            return (await cluster.log("hosted")).startswith("1\n")

        await eventually(answered)
        await cluster.delete("ported", "hosted")

    run(test)


def test_nothing_of_a_pod_stays_on_the_node(run: Run) -> None:
    async def test(cluster: Cluster) -> None:
        found = clusters.load(NAME)
        assert found is not None
        agent = Path(found.data_dir) / "agent"
        await cluster.run("brief", volumes=[{"name": "v", "emptyDir": {"medium": "Memory"}}])
        await cluster.running("brief")
        uid = (await cluster.pod("brief"))["metadata"]["uid"]
        await cluster.delete("brief")
        places = [agent / "kubelet" / "pods" / uid, agent / "logs" / "pods" / f"default_brief_{uid}"]

        async def empty() -> bool:
            return not [*_groups(uid), *(place for place in places if place.exists())]

        await eventually(empty)
        assert uid not in Path("/proc/self/mountinfo").read_text()

    run(test)
