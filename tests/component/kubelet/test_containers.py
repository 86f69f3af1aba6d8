"""What containers see of their volumes, and what their logs and ends tell, with a containerd of its own.

The pod uses the node's network, so that nothing of the network is needed.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.cmd import teardown
from knarr.cmd.node_paths import NodePaths
from knarr.component_base.clock import RealClock
from knarr.cri import pause
from knarr.cri.containerd import CriRuntime
from knarr.cri.containerd_process import ContainerdProcess
from knarr.cri.image_builder import Recipe, build
from knarr.cri.images import ImageStore, ImportedImages
from knarr.cri.messages import ContainerState, NamespaceMode
from knarr.kubelet import logs, termination
from knarr.kubelet.log_lines import LogOptions
from knarr.kubelet.log_rotation import LogRotator
from knarr.kubelet.references import Reference
from knarr.kubelet.tokens import Token
from knarr.kubelet.volumes.manager import VolumeManager
from knarr.wire.messages import Message

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: runs containers"),
    pytest.mark.skipif(shutil.which("containerd") is None, reason="containerd is not installed"),
    pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox-static is not installed"),
]

UID = "aaaaaaaa-2222-3333-4444-555555555555"
CGROUP = "knarr-volumes-test"
USER, GROUP = 1234, 4321
SCRIPT = """
echo out; echo err >&2
while [ ! -e /disk/stop ]; do sleep 0.02; done
echo last; echo farewell > /dev/termination-log; exit 3
"""


class Objects:
    """ConfigMaps and Secrets that a test may change; nobody hears of it but by `refresh`."""

    def __init__(self) -> None:
        self.stored: dict[str, Object] = {
            "cm": {"data": {"k": "one"}},
            "s": {"data": {"k": base64.b64encode(b"hidden").decode()}},
        }

    def add(self, pod: Object) -> None: ...

    def remove(self, uid: str) -> None: ...

    def users(self, reference: Reference) -> frozenset[str]:
        return frozenset()

    def listen(self, callback: Callable[[Reference], None]) -> None: ...

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        return self.stored[name]


class Tokens:
    async def get(self, pod: Object, audience: str = "", seconds: int = 3600) -> Token:
        now = RealClock().now()
        return Token("token", now, now)

    def forget(self, uid: str) -> None: ...


class Claims:
    async def resolve(self, pod: Object, volume: Object) -> Object:
        return volume


MOUNTS = [
    {"name": "disk", "mountPath": "/disk"},
    {"name": "ram", "mountPath": "/ram"},
    {"name": "cm", "mountPath": "/cm"},
    {"name": "cm", "mountPath": "/key", "subPath": "k"},
    {"name": "all", "mountPath": "/all"},
    {"name": "disk", "mountPath": "/part", "subPath": "a/b"},
]
POD: Object = {
    "metadata": {"name": "p", "namespace": "ns", "uid": UID, "labels": {"app": "a"}},
    "spec": {
        "securityContext": {"fsGroup": GROUP, "runAsUser": USER},
        "containers": [{"name": "c", "volumeMounts": MOUNTS}],
        "volumes": [
            {"name": "disk", "emptyDir": {}},
            {"name": "ram", "emptyDir": {"medium": "Memory", "sizeLimit": "64Ki"}},
            {"name": "cm", "configMap": {"name": "cm"}},
            {
                "name": "all",
                "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}, {"secret": {"name": "s"}}]},
            },
        ],
    },
}


def busybox() -> bytes:
    binary = Path(shutil.which("busybox") or "").read_bytes()
    names = ("sh", "cat", "sleep", "touch", "dd", "id", "ls")
    return build(
        Recipe("tools:1", {"bin/busybox": (binary, 0o755)}, links={f"bin/{name}": "busybox" for name in names})
    )


class Node:
    """A containerd, and what the kubelet would make of one pod."""

    def __init__(self, folder: Path) -> None:
        self.paths = NodePaths(folder)
        self.clock = RealClock()
        self.process = ContainerdProcess(self.paths.containerd(), self.clock)
        self.socket = str(self.paths.containerd().socket)
        self.runtime = CriRuntime(self.socket)
        self.objects = Objects()
        self.volumes = VolumeManager(self.paths.kubelet, self.objects, Tokens(), Claims(), self.clock)
        self.log = logs.container_log(self.paths.pod_logs, POD, "c", 0)
        self.sandbox: Message = {
            "metadata": {"name": "p", "uid": UID, "namespace": "ns", "attempt": 0},
            "log_directory": str(logs.pod_directory(self.paths.pod_logs, POD)),
            "linux": {
                "cgroup_parent": f"/{CGROUP}/pod",
                "security_context": {
                    "namespace_options": {"network": int(NamespaceMode.NODE), "pid": int(NamespaceMode.CONTAINER)}
                },
            },
        }

    async def import_images(self) -> None:
        store = ImageStore(self.socket, ImportedImages(self.paths.imported_images), self.clock)
        for number, data in enumerate((busybox(), build(pause.recipe()))):
            path = self.paths.data_dir / f"{number}.tar"
            path.write_bytes(data)
            await store.import_archive(path)
        await store.close()

    async def start(self) -> tuple[str, str, Path]:
        """(sandbox, container, termination file)."""
        made = await self.volumes.prepare(POD)
        mounts = []
        for index, mount in enumerate(MOUNTS):
            volume = made[mount["name"]]
            path = volume.path
            if mount.get("subPath"):
                path = self.volumes.prepare_subpath(POD, "c", index, volume, mount["subPath"])
            mounts.append({"container_path": mount["mountPath"], "host_path": path, "readonly": volume.read_only})
        file = termination.message_file(self.paths.kubelet, UID, "c", "0")
        mounts.append({"container_path": "/dev/termination-log", "host_path": str(file)})
        self.log.parent.mkdir(parents=True)
        sandbox_id = await self.runtime.run_sandbox(self.sandbox)
        user = {
            "run_as_user": {"value": USER},
            "supplemental_groups": [GROUP],
            "namespace_options": {"network": 2, "pid": 1},
        }
        config = {
            "metadata": {"name": "c", "attempt": 0},
            "image": {"image": "docker.io/library/tools:1"},
            "command": ["/bin/sh", "-c", SCRIPT],
            "mounts": mounts,
            "log_path": "c/0.log",
            "linux": {"security_context": user},
        }
        container = await self.runtime.create_container(sandbox_id, config, self.sandbox)
        await self.runtime.start_container(container)
        return sandbox_id, container, file

    async def close(self) -> None:
        await self.runtime.close()
        await self.process.stop()


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Node, str, Path]]:
    node = Node(folder)
    await node.process.start()
    try:
        await node.import_images()
        sandbox_id, container, file = await node.start()
        try:
            yield node, container, file
        finally:
            await node.runtime.stop_sandbox(sandbox_id)
            await node.runtime.remove_sandbox(sandbox_id)
            await node.volumes.teardown(UID)
    finally:
        await node.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="knarr-volumes-"))
    yield path
    assert teardown.unmount_below(str(path)) == []
    assert teardown.remove_cgroups(CGROUP) == []
    shutil.rmtree(path)


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(90):
        while not await condition():  # noqa: ASYNC110 - the runtime is asked
            await asyncio.sleep(0.01)


def test_a_container_lives_with_its_volumes_and_tells_of_its_end(folder: Path) -> None:
    async def main() -> None:
        async with running(folder) as (node, container, file):
            await volumes(node, container)
            await ends(node, container, file)
        assert not (node.paths.kubelet / "pods" / UID / "volumes").exists()

    async def said(node: Node, container: str, command: str) -> str:
        result = await node.runtime.exec_sync(container, ["/bin/sh", "-c", command], 10)
        return (result.stdout + result.stderr).decode()

    async def volumes(node: Node, container: str) -> None:
        assert await said(node, container, "cat /cm/k /key /all/token /all/k") == "oneonetokenhidden"
        assert await said(node, container, "id -u; touch /disk/f /ram/f /part/x && ls /disk/a/b") == "1234\nx\n"
        assert "Read-only file system" in await said(node, container, "touch /cm/x")
        assert "No space left" in await said(node, container, "dd if=/dev/zero of=/ram/big bs=4k count=32")
        node.objects.stored["cm"] = {"data": {"k": "two"}}
        await node.volumes.refresh(POD)
        assert await said(node, container, "cat /cm/k /key") == "twoone"

    async def ends(node: Node, container: str, file: Path) -> None:
        got: list[bytes] = []
        ended = False

        async def follow() -> None:
            async for data in logs.read(node.log, LogOptions(follow=True), lambda: ended):
                got.append(data)

        async def exited() -> bool:
            status = await node.runtime.container_status(container)
            return int(status["state"]) == ContainerState.EXITED

        async def first_lines() -> bool:
            return sorted(b"".join(got).splitlines()) == [b"err", b"out"]

        following = asyncio.ensure_future(follow())
        await until(first_lines)
        await LogRotator(node.runtime, node.clock, list).rotate(container, node.log)
        (node.paths.kubelet / "pods" / UID / "volumes/kubernetes.io~empty-dir/disk/stop").touch()
        await until(exited)
        ended = True
        await asyncio.wait_for(following, 90)
        assert b"".join(got).endswith(b"last\n")
        assert (await node.runtime.container_status(container))["exit_code"] == 3
        spec = {"terminationMessagePath": "/dev/termination-log"}
        assert termination.message(spec, file, node.log, failed=True) == "farewell\n"

    asyncio.run(main())
