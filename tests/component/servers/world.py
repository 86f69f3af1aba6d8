"""Two real server processes on one real etcd, and clients of both."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from knarr.client.client import Client
from knarr.client.http import HttpTransport
from knarr.component_base import kubeconfig
from knarr.component_base.kubeconfig import Access

PATIENCE = 90.0


class Server:
    """One `knarr server`."""

    def __init__(self, folder: Path, name: str, etcd: str, *flags: str) -> None:
        self.folder = folder / name
        self.log = folder / f"{name}.log"
        self.kubeconfig = self.folder / "admin.kubeconfig"
        self.command = [
            sys.executable,
            "-m",
            "knarr.cmd.main",
            "server",
            "--data-dir",
            str(self.folder),
            "--name",
            name,
        ]
        self.command += ["--bind-address", "127.0.0.1", "--port", "0", "--datastore-endpoint", etcd, *flags]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process."""
        self.kubeconfig.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill it, without a chance to say anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Ask it to end, and wait."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(PATIENCE) == 0, self.log.read_text()
        self._process = None

    async def ready(self) -> Access:
        """The administrator's access, once the server is ready."""
        async with asyncio.timeout(PATIENCE):
            while True:
                assert self._process is not None
                assert self._process.poll() is None, self.log.read_text()
                if self.kubeconfig.exists():
                    access = kubeconfig.load(self.kubeconfig)
                    if await status(access, "/readyz") == 200:
                        return access
                await asyncio.sleep(0.02)


async def status(access: Access, path: str) -> int:
    """The status of a GET; 0 when there is no answer."""
    async with client_of(access) as client:
        try:
            return (await client.transport.request("GET", path, {}, b"", "")).status
        except ConnectionError:
            return 0


@asynccontextmanager
async def client_of(access: Access) -> AsyncIterator[Client]:
    """A client that is closed at the end."""
    client = Client(HttpTransport(access))
    try:
        yield client
    finally:
        await client.close()


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fails when it does not in time."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
