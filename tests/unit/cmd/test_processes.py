"""Processes are known by id and start time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from knarr.cmd import processes


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    code = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_reused_id_is_another_process(child: subprocess.Popen[bytes]) -> None:
    found = processes.identify(child.pid)
    assert found is not None
    assert processes.alive(found)
    stranger = found._replace(started=found.started - 1)
    assert not processes.alive(stranger)
    processes.send(stranger, signal.SIGKILL)
    processes.stop(stranger, 0.1)
    assert child.poll() is None


def test_who_ignores_the_request_is_made_to_end(child: subprocess.Popen[bytes]) -> None:
    found = processes.identify(child.pid)
    assert found is not None
    processes.stop(found, 0.2)
    assert child.wait(90) == -signal.SIGKILL
    assert not processes.alive(found)
    processes.stop(found, 0.2)


def test_kill_all_waits(child: subprocess.Popen[bytes]) -> None:
    found = processes.identify(child.pid)
    assert found is not None
    assert processes.kill_all([found], 5) == []
    assert processes.identify(child.pid) is None


def test_namespaces_are_searched(child: subprocess.Popen[bytes]) -> None:
    inode = os.stat("/proc/self/ns/net").st_ino
    found = {process.pid for process in processes.in_namespaces([inode])}
    assert child.pid in found
    assert os.getpid() not in found
    assert processes.in_namespaces([1]) == []
