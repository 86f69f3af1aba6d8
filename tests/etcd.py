"""A real etcd for tests: Debian's, on unix sockets in a folder of its own, or on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_etcd = pytest.mark.skipif(shutil.which("etcd") is None, reason="needs etcd (package etcd-server)")
_PATIENCE = 90.0
_MEMORY = "/dev/shm"


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that ends with the test, in memory where that is possible: etcd writes to the disk at every change."""
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="etcd-", dir=where) as path:
        yield Path(path)


class Etcd:
    """One member. `endpoint` is its address; it can be killed and started again on the same data.

    Members of one cluster share a folder, and `members` names them all. With `port` it listens on loopback with TLS,
    and `extra` are the flags for that.
    """

    def __init__(
        self, folder: Path, name: str = "one", members: tuple[str, ...] = (), port: int = 0, extra: tuple[str, ...] = ()
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.name = name
        # Relative socket names: etcd takes nothing else, and paths of sockets are short.
        self._socket = f"{name}-client:0"
        self.endpoint = f"https://127.0.0.1:{port}" if port else f"unix://{folder}/{self._socket}"
        self._port = port
        self._members = members or (name,)
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it accepts connections."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it; a member of several answers only with the others."""
        (self.folder / self._socket).unlink(missing_ok=True)
        (self.folder / f"{self.name}-peer:0").unlink(missing_ok=True)
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until it accepts connections."""
        log = self.folder / f"{self.name}.log"
        deadline = time.monotonic() + _PATIENCE
        while not self._accepts():
            assert self._process is not None
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it, without a chance to say anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _command(self) -> list[str]:
        client = f"https://127.0.0.1:{self._port}" if self._port else f"unix://{self._socket}"
        peers = {name: f"unix://{name}-peer:0" for name in self._members}
        flags = {
            "--name": self.name,
            "--data-dir": f"data-{self.name}",
            "--logger": "zap",
            "--log-level": "error",
            "--listen-client-urls": client,
            "--advertise-client-urls": client,
            "--listen-peer-urls": peers[self.name],
            "--initial-advertise-peer-urls": peers[self.name],
            "--initial-cluster": ",".join(f"{name}={peer}" for name, peer in peers.items()),
        }
        return ["etcd", *(f"{flag}={value}" for flag, value in flags.items()), *self._extra]

    def _accepts(self) -> bool:
        family = socket.AF_INET if self._port else socket.AF_UNIX
        with socket.socket(family) as probe:
            address = ("127.0.0.1", self._port) if self._port else str(self.folder / self._socket)
            return probe.connect_ex(address) == 0


@contextmanager
def running() -> Iterator[Etcd]:
    """One member that ends with the test."""
    with folder() as path:
        server = Etcd(path)
        server.start()
        try:
            yield server
        finally:
            server.kill()
