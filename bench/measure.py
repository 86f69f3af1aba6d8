"""What the benches measure with: processes' CPU and memory, and a plain client that costs the server nothing extra."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from knarr.component_base import kubeconfig

JSON = "application/json"
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time the processes have used."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def rss_mib(pid: int) -> int:
    """Resident memory, in MiB."""
    found = re.search(r"Rss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())
    return int(found[1]) // 1024 if found else 0


@contextmanager
def bare_server(folder: Path, role: str = "apiserver") -> Iterator[subprocess.Popen[bytes]]:
    """A server of its own, of the API alone or with controllers and scheduler (`all`).

    `folder` gets its `kubeconfig`, `log` and `data`.
    """
    command = [sys.executable, "-m", "knarr.cmd.main", "server", "--role", role, "--foreground", "--port", "0"]
    where = ["--data-dir", f"{folder}/data", "--kubeconfig", f"{folder}/kubeconfig"]
    with (folder / "log").open("wb") as output:
        server = subprocess.Popen([*command, *where], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield server
    finally:
        server.terminate()
        server.wait(20)


def tls(access: kubeconfig.Access) -> ssl.SSLContext:
    """A client context for the cluster of a kubeconfig."""
    context = ssl.create_default_context(cadata=access.authority.decode())
    if access.certificate:
        with tempfile.NamedTemporaryFile() as file:
            file.write(access.certificate + b"\n" + access.key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


class Connection:
    """One keep-alive connection."""

    def __init__(self, access: kubeconfig.Access, context: ssl.SSLContext) -> None:
        self._url, self._context, self._token = urlsplit(access.server), context, access.token

    async def open(self) -> Connection:
        host, port = self._url.hostname or "", self._url.port or 443
        self._reader, self._writer = await asyncio.open_connection(host, port, ssl=self._context, limit=1 << 26)
        return self

    async def call(self, method: str, path: str, body: object = None, kind: str = JSON, accept: str = JSON) -> int:
        """Send one request, read the whole answer; gives the status."""
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n"
        head += f"Authorization: Bearer {self._token}\r\n" if self._token else ""
        head += f"Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
        self._writer.write(head.encode() + data)
        status, length = await self._head()
        self.body = await self._reader.readexactly(length)
        return status

    async def newest(self, path: str) -> str:
        """The revision of a list."""
        self._writer.write(f"GET {path}?limit=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        body = await self._reader.readexactly((await self._head())[1])
        return str(json.loads(body)["metadata"]["resourceVersion"])

    async def follow(self, path: str) -> int:
        """Begin a watch; gives the status."""
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"
        self._writer.write(head.encode())
        return (await self._head())[0]

    async def events(self) -> bytes:
        """The next piece of a watch."""
        size = int(await self._reader.readuntil(b"\r\n"), 16)
        return (await self._reader.readexactly(size + 2))[:-2]

    async def _head(self) -> tuple[int, int]:
        """Status and body's length of an answer."""
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"content-length: (\d+)", answer)
        return int(answer.split(" ", 2)[1]), int(length[1]) if length else 0

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()
