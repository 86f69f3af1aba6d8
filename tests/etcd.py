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
_PATIENCE = 20.0
_MEMORY = "/dev/shm"


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that ends with the test, in memory where that is possible: etcd writes to the disk at every change."""
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="etcd-", dir=where) as path:
        yield Path(path)


class Etcd:
    """One member. `endpoint` is its address; it can be killed and started again on the same data."""

    def __init__(self, folder: Path, extra: tuple[str, ...] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        # Relative socket names: etcd takes nothing else, and paths of sockets are short.
        self.endpoint = f"unix://{folder}/client:0"
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it accepts connections."""
        (self.folder / "client:0").unlink(missing_ok=True)
        peer = "unix://peer:0"
        command = ["etcd", "--name", "test", "--data-dir", "data", "--logger", "zap", "--log-level", "error"]
        command += ["--listen-client-urls", "unix://client:0", "--advertise-client-urls", "unix://client:0"]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", f"test={peer}", *self._extra]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._accepts():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it, without a chance to say anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.folder / "client:0")) == 0
