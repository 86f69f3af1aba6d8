"""The streams into containers of a real containerd, as kubectl and older WebSocket clients use them.

The pod uses the node's network, so that nothing of the network is needed.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import pty
import shutil
import tempfile
import termios
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import orjson
import pytest
from tests.component.streams.kubectl import fetch, forwarding, kubectl, kubectl_path, settings, source
from tests.component.streams.world import NODE, World, run_loop, world

from knarr.apimachinery.types import Object
from knarr.cmd import teardown
from knarr.cmd.node_paths import NodePaths
from knarr.component_base import http_client
from knarr.component_base.clock import RealClock
from knarr.component_base.http_client import Connection, Outgoing
from knarr.cri import pause
from knarr.cri.containerd import CriRuntime
from knarr.cri.containerd_process import ContainerdProcess
from knarr.cri.image_builder import Recipe, build
from knarr.cri.images import ImageStore, ImportedImages
from knarr.cri.messages import NamespaceMode
from knarr.wire import channels, websocket
from knarr.wire.channels import ChannelData, Channels
from knarr.wire.messages import Message
from knarr.wire.websocket import Data, WebSocket

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: runs containers"),
    pytest.mark.skipif(shutil.which("containerd") is None, reason="containerd is not installed"),
    pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox-static is not installed"),
    pytest.mark.skipif(kubectl_path is None, reason="no kubectl"),
]

UID = "bbbbbbbb-2222-3333-4444-555555555555"
CGROUP = "knarr-streams-test"
SIZE = 100 * 1000 * 1000
COMMANDS = {"c": "sleep 3600", "talk": "echo hello; cat; echo bye", "tty": "cat"}
ContainerWorld: TypeAlias = World[CriRuntime]
Test: TypeAlias = Callable[[ContainerWorld], Awaitable[None]]


def image() -> bytes:
    binary = Path(shutil.which("busybox") or "").read_bytes()
    names = ("sh", "cat", "sleep", "wc", "tar", "stty", "ls", "rm", "mkdir", "test")
    recipe = Recipe("tools:1", {"bin/busybox": (binary, 0o755)}, links={f"bin/{name}": "busybox" for name in names})
    return build(recipe)


class Node:
    """A containerd with one pod, made as the kubelet would."""

    def __init__(self, folder: Path) -> None:
        self.paths = NodePaths(folder)
        self.process = ContainerdProcess(self.paths.containerd(), RealClock())
        self.runtime = CriRuntime(str(self.paths.containerd().socket))
        self.logs = self.paths.pod_logs / "pod"
        options = {"network": int(NamespaceMode.NODE), "pid": int(NamespaceMode.CONTAINER)}
        self.sandbox: Message = {
            "metadata": {"name": "p", "uid": UID, "namespace": "default", "attempt": 0},
            "labels": {"io.kubernetes.pod.uid": UID},
            "log_directory": str(self.logs),
            "linux": {"cgroup_parent": f"/{CGROUP}/pod", "security_context": {"namespace_options": options}},
        }

    async def start(self) -> Object:
        """The pod, running."""
        await self.process.start()
        store = ImageStore(str(self.paths.containerd().socket), ImportedImages(self.paths.imported_images), RealClock())
        for number, data in enumerate((image(), build(pause.recipe()))):
            path = self.paths.data_dir / f"{number}.tar"
            path.write_bytes(data)
            await store.import_archive(path)
        await store.close()
        sandbox = await self.runtime.run_sandbox(self.sandbox)
        ids = {name: await self._container(sandbox, name) for name in COMMANDS}
        return _pod(ids)

    async def _container(self, sandbox: str, name: str) -> str:
        (self.logs / name).mkdir(parents=True)
        config = {
            "metadata": {"name": name, "attempt": 0},
            "image": {"image": "docker.io/library/tools:1"},
            "command": ["/bin/sh", "-c", COMMANDS[name]],
            "log_path": f"{name}/0.log",
            "stdin": name != "c",
            "stdin_once": name == "talk",
            "tty": name == "tty",
            "linux": {"security_context": {"namespace_options": {"network": 2, "pid": 1}}},
        }
        container = await self.runtime.create_container(sandbox, config, self.sandbox)
        await self.runtime.start_container(container)
        return container

    async def stop(self) -> None:
        with contextlib.suppress(Exception):  # whatever the test left: the sandbox may not have been made
            for sandbox in await self.runtime.list_sandboxes():
                await self.runtime.stop_sandbox(sandbox["id"])
                await self.runtime.remove_sandbox(sandbox["id"])
        await self.runtime.close()
        await self.process.stop()


def _pod(ids: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default", "uid": UID},
        "spec": {
            "nodeName": NODE,
            "containers": [{"name": name, "image": "i", "stdin": name != "c", "tty": name == "tty"} for name in ids],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {"name": name, "containerID": f"containerd://{one}", "state": {"running": {}}}
                for name, one in ids.items()
            ],
        },
    }


@contextlib.asynccontextmanager
async def containers(folder: Path) -> AsyncIterator[ContainerWorld]:
    node = Node(folder)
    try:
        pod = await node.start()
        async with world(folder, node.runtime) as made:
            made.add(pod)
            yield made
    finally:
        await node.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="knarr-streams-"))
    yield path
    assert teardown.unmount_below(str(path)) == []
    assert teardown.remove_cgroups(CGROUP) == []
    shutil.rmtree(path)


def test_kubectl_reaches_into_containers(folder: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(120), containers(folder) as made:
            for websockets in (True, False):
                environment = settings(folder, websockets=websockets)
                await exec_and_exit_codes(environment)
                size = SIZE if websockets else SIZE // 5
                await files(environment, folder, size)
                await terminal(environment)
                await forward(environment, size)
                await logs(environment)
            await attach(settings(folder, websockets=True))
            for protocol in (channels.V4, channels.V4_BASE64, channels.V1, ""):
                await older_websockets(made, protocol)
            await forward_over_channels(made)

    run_loop(main())


async def exec_and_exit_codes(environment: dict[str, str]) -> None:
    script = "echo out; echo err >&2; exit 7"
    code, out, err = await kubectl("exec", "p", "-c", "c", "--", "sh", "-c", script, environment=environment)
    assert (code, out) == (7, b"out\n")
    assert err == b"err\ncommand terminated with exit code 7\n"
    answer = await kubectl("exec", "-i", "p", "-c", "c", "--", "wc", "-c", environment=environment, stdin=b"abc")
    assert answer == (0, b"3\n", b"")
    code, _, err = await kubectl("exec", "p", "-c", "c", "--", "/nothing", environment=environment)
    assert code != 0 and b"no such file" in err


async def files(environment: dict[str, str], folder: Path, size: int) -> None:
    sent, back = folder / "sent", folder / "back"
    sent.write_bytes(os.urandom(1 << 20) * (size >> 20))
    assert (await kubectl("cp", str(sent), "p:/file", "-c", "c", environment=environment))[0] == 0
    assert (await kubectl("cp", "p:/file", str(back), "-c", "c", environment=environment))[0] == 0
    assert back.read_bytes() == sent.read_bytes()
    assert (await kubectl("exec", "p", "-c", "c", "--", "rm", "/file", environment=environment))[0] == 0


async def terminal(environment: dict[str, str]) -> None:
    """The command's terminal has our size, and follows when ours changes."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (33, 101))
    script = "while :; do stty size; sleep 0.05; done"
    assert kubectl_path is not None
    process = await asyncio.create_subprocess_exec(
        kubectl_path,
        *("exec", "-it", "p", "-c", "c", "--", "sh", "-c", script),
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    await shown(ours, b"33 101")
    termios.tcsetwinsize(theirs, (44, 120))
    process.send_signal(28)  # SIGWINCH
    await shown(ours, b"44 120")
    os.write(ours, b"\x03")
    assert await process.wait() == 130
    os.close(ours)
    os.close(theirs)


async def shown(terminal: int, text: bytes) -> None:
    """Wait until a text stands on a terminal."""
    loop = asyncio.get_running_loop()
    seen = b""
    while text not in seen:
        seen += await loop.run_in_executor(None, os.read, terminal, 4096)


async def forward(environment: dict[str, str], size: int) -> None:
    data = os.urandom(1 << 20) * (size >> 20)
    async with source(data) as port, forwarding(port, environment) as local:
        got = await fetch(local, bytes(1000))
        assert hashlib.sha256(got).digest() == hashlib.sha256(b"1001\n" + data).digest()


async def logs(environment: dict[str, str]) -> None:
    assert await kubectl("logs", "p", "-c", "talk", environment=environment) == (0, b"hello\n", b"")


async def attach(environment: dict[str, str]) -> None:
    """What we say goes to the process, what it answers comes back; our end of input is its end."""
    code, out, _ = await kubectl("attach", "-i", "p", "-c", "talk", environment=environment, stdin=b"words\n")
    assert (code, out) == (0, b"words\nbye\n")


class Client:
    """A WebSocket client with channels."""

    def __init__(self, connection: Connection, protocol: str) -> None:
        self._connection = connection
        self.socket = WebSocket(client=True)
        self.channels = Channels(protocol)

    @classmethod
    async def open(cls, made: ContainerWorld, target: str, protocol: str) -> Client:
        nonce, offered = os.urandom(16), (protocol,) if protocol else ()
        headers = list(websocket.request_headers(nonce, offered).items())
        answer = await http_client.send(made.api, Outgoing("GET", target, headers))
        assert websocket.check_answer(answer.status, answer.names, nonce, offered) == protocol
        return cls(answer.connection, protocol)

    def send(self, channel: int, payload: bytes) -> None:
        self.socket.send(self.channels.encode(channel, payload), text=self.channels.text)
        self._connection.write(self.socket.take())

    async def pieces(self) -> AsyncIterator[ChannelData]:
        """What comes in, to the server's close."""
        while data := await self._connection.read():
            for event in self.socket.receive(data):
                if not isinstance(event, Data):
                    return
                for piece in self.channels.decode(event):
                    assert isinstance(piece, ChannelData)
                    yield piece

    def close(self) -> None:
        self.socket.close()
        self._connection.write(self.socket.take())
        self._connection.close()


async def older_websockets(made: ContainerWorld, protocol: str) -> None:
    base = "/api/v1/namespaces/default/pods/p/exec?container=c&stdout=true&stderr=true&command=sh&command=-c"
    client = await Client.open(made, f"{base}&command=echo+out;echo+err>%262;exit+3", protocol)
    got: dict[int, bytes] = {}
    async for piece in client.pieces():
        got[piece.channel] = got.get(piece.channel, b"") + piece.payload
    client.close()
    assert (got[channels.STDOUT], got[channels.STDERR]) == (b"out\n", b"err\n")
    if channels.has_status(protocol):
        assert orjson.loads(got[channels.ERROR])["details"]["causes"][0] == {"reason": "ExitCode", "message": "3"}
    else:
        assert b"exit" in got[channels.ERROR]


async def forward_over_channels(made: ContainerWorld) -> None:
    async with source(b"answer") as port:
        path = f"/api/v1/namespaces/default/pods/p/portforward?ports={port}"
        client = await Client.open(made, path, channels.V4)
        client.send(channels.data_channel(0), b"question\n")
        headers, got = channels.PortHeaders(), b""
        async for piece in client.pieces():
            plain = headers.strip(piece.channel, piece.payload)
            if piece.channel == channels.data_channel(0):
                got += plain
            if got == b"9\nanswer":
                break
        client.close()
        assert headers.ports == {0: port, 1: port}
        assert base64.b64encode(got) == base64.b64encode(b"9\nanswer")
