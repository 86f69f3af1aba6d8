"""A container runtime for the streams: commands run as plain processes, ports are those of this machine.

Its streaming server speaks SPDY/3.1 as containerd's does: a `Status` on the error stream, then every stream is reset
and the connection closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson
from tests.component.streams.world import World

from knarr.component_base.clock import RealClock
from knarr.component_base.http import RawStream, Request, Response
from knarr.component_base.http_server import HttpServer
from knarr.component_base.tasks import Tasks
from knarr.cri.fake import FakeRuntime
from knarr.cri.messages import SandboxState
from knarr.cri.runtime import ExecResult
from knarr.wire import spdy
from knarr.wire.messages import Message
from knarr.wire.spdy import Spdy
from knarr.wire.spdy_headers import Headers

#: The world of tests that need nothing but processes.
ProcessWorld: TypeAlias = "World[ProcessRuntime]"
Serve = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's end of one SPDY connection: streams by name, bytes as they come."""

    def __init__(self, stream: RawStream) -> None:
        self._stream = stream
        self._spdy = Spdy(client=False)
        self.streams: dict[str, int] = {}
        self.queues: dict[int, asyncio.Queue[bytes]] = {}
        self.opened: asyncio.Queue[tuple[int, Headers]] = asyncio.Queue()

    async def pump(self) -> None:
        """Read to the end; each stream's bytes go into its queue, which holds the sender back when full."""
        while data := await self._stream.read():
            for event in self._spdy.receive(data):
                if isinstance(event, spdy.StreamOpened):
                    self.queues[event.stream] = asyncio.Queue(64)
                    self._spdy.reply(event.stream)
                    self.opened.put_nowait((event.stream, event.headers))
                    if event.end:
                        self.queues[event.stream].put_nowait(b"")
                elif isinstance(event, spdy.Data) and event.stream in self.queues:
                    if event.payload:
                        await self.queues[event.stream].put(event.payload)
                    if event.end:
                        await self.queues[event.stream].put(b"")
                elif isinstance(event, spdy.StreamReset) and event.stream in self.queues:
                    await self.queues[event.stream].put(b"")
            self._flush()
        for queue in self.queues.values():
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(b"")

    async def accept(self, count: int) -> None:
        """Wait for so many streams, and know them by their `streamtype`."""
        for _ in range(count):
            stream, headers = await self.opened.get()
            self.streams[headers["streamtype"][0]] = stream

    async def write(self, stream: int, data: bytes, *, end: bool = False) -> None:
        if self._spdy.writable(stream):
            self._spdy.data(stream, data, end=end)
            self._flush()
            await self._stream.drain()

    def hang_up(self) -> None:
        for stream in self.queues:
            self._spdy.reset(stream)
        self._spdy.go_away()
        self._flush()

    def _flush(self) -> None:
        self._stream.write(self._spdy.take())


class ProcessRuntime(FakeRuntime):
    """The fake runtime, with exec, attach and port forwarding that do something."""

    def __init__(self) -> None:
        super().__init__(RealClock())
        self.requests: list[Message] = []
        self.sizes: list[Message] = []
        self.refusal = 0
        self._server = HttpServer(self._handle, None)
        self._port = 0
        self._tasks = Tasks()

    async def start(self) -> None:
        self._port = await self._server.listen("127.0.0.1", 0)

    async def close(self) -> None:
        await self._tasks.close()
        await self._server.close()

    async def list_sandboxes(self, labels: Mapping[str, str] | None = None) -> list[Message]:
        return [{"id": "sandbox", "labels": labels or {}, "state": int(SandboxState.READY), "created_at": 1}]

    async def exec(self, request: Message) -> str:
        return self._url("exec", request)

    async def attach(self, request: Message) -> str:
        return self._url("exec", {**request, "cmd": ["sh", "-c", "echo attached; cat"]})

    async def port_forward(self, sandbox_id: str, ports: Sequence[int]) -> str:
        return self._url("portforward", {"sandbox": sandbox_id, "ports": list(ports)})

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: int) -> ExecResult:
        process = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1)
        stdout, stderr = await process.communicate()
        return ExecResult(process.returncode or 0, stdout, stderr)

    def _url(self, kind: str, request: Message) -> str:
        self.requests.append(request)
        return f"http://127.0.0.1:{self._port}/{kind}/{len(self.requests) - 1}"

    async def _handle(self, request: Request) -> Response:
        if self.refusal:
            return Response(self.refusal, b"the runtime is not in the mood", "text/plain")
        _, kind, number = request.path.split("/")
        serve = self._exec if kind == "exec" else self._forward
        asked = self.requests[int(number)]
        version = request.headers["x-stream-protocol-version"].split(",")[0]

        async def run(stream: RawStream) -> None:
            peer = Peer(stream)
            tasks = Tasks()
            try:
                pump = tasks.start(peer.pump(), "peer")
                work = tasks.start(serve(peer, asked), "serve")
                await asyncio.wait([pump, work], return_when=asyncio.FIRST_COMPLETED)
            finally:
                await tasks.close()
                stream.close()

        headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": version}
        return Response(101, b"", "", headers, upgrade=run)

    async def _exec(self, peer: Peer, asked: Message) -> None:
        wanted = [name for name in ("stdin", "stdout", "stderr") if asked.get(name)]
        await peer.accept(1 + len(wanted) + bool(asked.get("tty")))
        process = await asyncio.create_subprocess_exec(*asked["cmd"], stdin=-1, stdout=-1, stderr=-1)
        tasks = Tasks()
        if "stdin" in wanted:
            tasks.start(self._feed(peer, process), "stdin")
        if asked.get("tty"):
            tasks.start(self._resize(peer), "resize")
        assert process.stdout is not None and process.stderr is not None
        try:
            await asyncio.gather(
                self._drain(peer, process.stdout, peer.streams.get("stdout")),
                self._drain(peer, process.stderr, peer.streams.get("stderr")),
            )
        except asyncio.CancelledError:
            # A process that outlives its caller would keep the event loop from closing.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        finally:
            await tasks.close()
        code = await process.wait()
        await peer.write(peer.streams["error"], orjson.dumps(_status(code)))
        peer.hang_up()

    async def _feed(self, peer: Peer, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        while data := await peer.queues[peer.streams["stdin"]].get():
            process.stdin.write(data)
            await process.stdin.drain()
        process.stdin.close()

    async def _resize(self, peer: Peer) -> None:
        while data := await peer.queues[peer.streams["resize"]].get():
            self.sizes.append(orjson.loads(data))

    async def _drain(self, peer: Peer, reader: asyncio.StreamReader, stream: int | None) -> None:
        while data := await reader.read(32768):
            if stream is not None:
                await peer.write(stream, data)

    async def _forward(self, peer: Peer, _asked: Message) -> None:
        tasks = Tasks()
        pairs: dict[str, dict[str, int]] = {}
        try:
            while True:
                stream, headers = await peer.opened.get()
                pair = pairs.setdefault(headers["requestid"][0], {})
                pair[headers["streamtype"][0]] = stream
                if len(pair) == 2:
                    tasks.start(self._connect(peer, pair, int(headers["port"][0])), "forward")
        finally:
            await tasks.close()

    async def _connect(self, peer: Peer, pair: dict[str, int], port: int) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            await peer.write(pair["error"], f"failed to connect to port {port}: {error}".encode(), end=True)
            await peer.write(pair["data"], b"", end=True)
            return

        async def out() -> None:
            while data := await reader.read(32768):
                await peer.write(pair["data"], data)
            await peer.write(pair["data"], b"", end=True)

        async def into() -> None:
            while data := await peer.queues[pair["data"]].get():
                writer.write(data)
                await writer.drain()
            writer.write_eof()

        await asyncio.gather(out(), into())
        await peer.write(pair["error"], b"", end=True)
        writer.close()


@contextlib.asynccontextmanager
async def processes() -> AsyncIterator[ProcessRuntime]:
    """The runtime, running."""
    runtime = ProcessRuntime()
    await runtime.start()
    try:
        yield runtime
    finally:
        await runtime.close()


def _status(code: int) -> dict[str, Any]:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: error executing command, exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
