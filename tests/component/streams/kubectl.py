"""kubectl, and what it is pointed at."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from knarr.cmd.kubectl import find_kubectl

kubectl_path = find_kubectl()


def settings(directory: Path, *, websockets: bool) -> dict[str, str]:
    """The environment of a kubectl that streams over WebSocket or SPDY, with the kubeconfig of a world."""
    on = str(websockets).lower()
    return {
        **os.environ,
        "HOME": str(directory),
        "KUBECONFIG": str(directory / "kubeconfig"),
        "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": on,
        "KUBECTL_PORT_FORWARD_WEBSOCKETS": on,
    }


async def kubectl(*arguments: str, environment: dict[str, str], stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    assert kubectl_path is not None
    process = await asyncio.create_subprocess_exec(
        kubectl_path, *arguments, env=environment, stdin=-1, stdout=-1, stderr=-1
    )
    stdout, stderr = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, stdout, stderr


@asynccontextmanager
async def source(data: bytes) -> AsyncIterator[int]:
    """A server that answers the number of bytes it was sent, a newline, and `data`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        while chunk := await reader.read(1 << 16):
            count += len(chunk)
            if chunk.endswith(b"\n"):
                break
        writer.write(b"%d\n" % count)
        writer.write(data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def forwarding(port: int, environment: dict[str, str]) -> AsyncIterator[int]:
    """`kubectl port-forward` to a port; gives the local one."""
    assert kubectl_path is not None
    process = await asyncio.create_subprocess_exec(
        kubectl_path, "port-forward", "p", f":{port}", env=environment, stdin=-3, stdout=-1, stderr=-1
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found is not None, line
        yield int(found[1])
    finally:
        process.terminate()
        await process.communicate()


async def fetch(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent + b"\n")
    got = bytearray()
    while chunk := await reader.read(1 << 20):
        got += chunk
    writer.close()
    return bytes(got)
