"""A node's own containerd: one at a time, started again when it dies, gone when it is stopped."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from knarr.cmd.node_paths import NodePaths
from knarr.component_base.clock import RealClock
from knarr.component_base.tasks import Tasks
from knarr.cri.containerd import CriRuntime
from knarr.cri.containerd_process import ContainerdOptions, ContainerdProcess

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: runs containerd"),
    pytest.mark.skipif(shutil.which("containerd") is None, reason="containerd is not installed"),
]


@pytest.fixture
def options() -> Iterator[ContainerdOptions]:
    # A socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="knarr-runtime-"))
    yield NodePaths(folder).containerd()
    shutil.rmtree(folder)


def running(options: ContainerdOptions) -> set[int]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(options.state / "config.toml").encode() in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
        except OSError:
            continue
    return found


async def answers(options: ContainerdOptions) -> None:
    runtime = CriRuntime(str(options.socket))
    await runtime.version()
    await runtime.close()


def test_one_that_is_killed_comes_back_and_one_that_is_stopped_does_not(options: ContainerdOptions) -> None:
    async def main() -> None:
        process, tasks = ContainerdProcess(options, RealClock()), Tasks()
        await process.start()
        supervising = tasks.start(process.supervise(), "containerd")
        (first,) = running(options)
        os.kill(first, signal.SIGKILL)
        for _ in range(1000):
            if running(options) - {first}:
                break
            await asyncio.sleep(0.02)
        await process.stop()
        await asyncio.wait_for(supervising, 90)
        assert running(options) == set()

    asyncio.run(main())


def test_one_that_an_agent_left_behind_is_taken_over(options: ContainerdOptions) -> None:
    async def main() -> None:
        await ContainerdProcess(options, RealClock()).start()
        (first,) = running(options)
        # The agent was killed before it could write the pid down.
        (options.state / "containerd.pid").unlink()
        second = ContainerdProcess(options, RealClock())
        await second.start()
        assert running(options) == {first}
        await answers(options)
        await second.stop()
        assert running(options) == set()

    asyncio.run(main())
