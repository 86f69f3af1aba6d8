"""The streams as kubectl uses them: over WebSocket (its own way) and over SPDY (its older way)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pty
import signal
import termios
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.component.streams.kubectl import fetch, forwarding, kubectl, kubectl_path, settings, source
from tests.component.streams.runtime import ProcessWorld as World
from tests.component.streams.runtime import processes
from tests.component.streams.world import pod, run_loop, world

SIZE = 100 * 1000 * 1000
DEADLINE = 60.0
FAILED = "command terminated with exit code 7"
pytestmark = pytest.mark.skipif(kubectl_path is None, reason="no kubectl")


@pytest.fixture(params=["websocket", "spdy"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    return settings(tmp_path, websockets=request.param == "websocket")


def run(directory: Path, test: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE), processes() as runtime, world(directory, runtime) as made:
            made.add(pod())
            await test(made)

    run_loop(main())


def test_exec_keeps_outputs_apart_and_the_exit_code(environment: dict[str, str], tmp_path: Path) -> None:
    async def test(_: World) -> None:
        code, out, err = await kubectl(
            "exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 7", environment=environment
        )
        assert (code, out, err.decode().split("\n")) == (7, b"out\n", ["err", FAILED, ""])
        assert await kubectl("exec", "p", "--", "true", environment=environment) == (0, b"", b"")

    run(tmp_path, test)


def test_exec_passes_the_end_of_input(environment: dict[str, str], tmp_path: Path) -> None:
    async def test(_: World) -> None:
        answer = await kubectl("exec", "-i", "p", "--", "wc", "-c", environment=environment, stdin=b"abc")
        assert answer == (0, b"3\n", b"")
        answer = await kubectl("exec", "-i", "p", "--", "wc", "-c", environment=environment)
        assert answer == (0, b"0\n", b"")

    run(tmp_path, test)


def test_exec_carries_much_in_both_directions_unharmed(environment: dict[str, str], tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * (SIZE >> 20)

    async def test(_: World) -> None:
        code, out, err = await kubectl("exec", "-i", "p", "--", "cat", environment=environment, stdin=data)
        assert (code, err, len(out)) == (0, b"", len(data))
        assert hashlib.sha256(out).digest() == hashlib.sha256(data).digest()

    run(tmp_path, test)


def test_cp_carries_files_both_ways(environment: dict[str, str], tmp_path: Path) -> None:
    source, there, back = tmp_path / "source", tmp_path / "there", tmp_path / "back"
    there.mkdir()
    source.write_bytes(os.urandom(1 << 20) * 20)

    async def test(_: World) -> None:
        assert (await kubectl("cp", str(source), f"p:{there}/file", environment=environment))[0] == 0
        assert (await kubectl("cp", f"p:{there}/file", str(back), environment=environment))[0] == 0
        assert (there / "file").read_bytes() == source.read_bytes()
        assert back.read_bytes() == source.read_bytes()

    run(tmp_path, test)


def test_a_terminal_is_resized(environment: dict[str, str], tmp_path: Path) -> None:
    async def test(made: World) -> None:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (33, 101))
        assert kubectl_path is not None
        process = await asyncio.create_subprocess_exec(
            kubectl_path, "exec", "-it", "p", "--", "cat", env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        try:
            await until(lambda: {"Width": 101, "Height": 33} in made.runtime.sizes)
            termios.tcsetwinsize(theirs, (44, 120))
            while {"Width": 120, "Height": 44} not in made.runtime.sizes:
                # kubectl tells the first size before it listens for changes: one signal may come too early.
                process.send_signal(signal.SIGWINCH)
                await asyncio.sleep(0.05)
            assert made.runtime.requests[-1]["tty"] and not made.runtime.requests[-1]["stderr"]
        finally:
            process.kill()
            await process.wait()
            os.close(ours)
            os.close(theirs)

    run(tmp_path, test)


def test_attach_joins_the_process(environment: dict[str, str], tmp_path: Path) -> None:
    async def test(_: World) -> None:
        code, out, _err = await kubectl("attach", "-i", "p", environment=environment, stdin=b"words")
        assert (code, out) == (0, b"attached\nwords")

    run(tmp_path, test)


def test_refusals_are_told_in_kubernetes_words(environment: dict[str, str], tmp_path: Path) -> None:
    async def test(made: World) -> None:
        code, _, err = await kubectl("exec", "p", "-c", "no", "--", "ls", environment=environment)
        assert (code, err) == (1, b"Error from server (BadRequest): container no is not valid for pod p\n")
        made.add(pod("dead", containerStatuses=[{"name": "c", "containerID": "x://1", "state": {"terminated": {}}}]))
        code, _, err = await kubectl("exec", "dead", "--", "ls", environment=environment)
        assert code == 1
        assert b'unable to upgrade connection: container not found ("c")' in err
        made.runtime.refusal = 503
        code, _, err = await kubectl("exec", "p", "--", "ls", environment=environment)
        assert code == 1
        assert b"the runtime is not in the mood" in err

    run(tmp_path, test)


async def until(condition: Callable[[], bool]) -> None:
    """Wait on a condition; the test's own deadline ends it."""
    while not condition():  # noqa: ASYNC110 - the other side is another process
        await asyncio.sleep(0.01)


def test_port_forward_carries_much_unharmed(environment: dict[str, str], tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * (SIZE >> 20)

    async def test(_: World) -> None:
        async with source(data) as port, forwarding(port, environment) as local:
            got = await fetch(local, bytes(1000))
            assert hashlib.sha256(got).digest() == hashlib.sha256(b"1001\n" + data).digest()

    run(tmp_path, test)


def test_port_forward_serves_several_connections_at_once(environment: dict[str, str], tmp_path: Path) -> None:
    data = os.urandom(1 << 18)

    async def test(_: World) -> None:
        async with source(data) as port, forwarding(port, environment) as local:
            answers = await asyncio.gather(*(fetch(local, bytes(size)) for size in range(8)))
            assert answers == [b"%d\n" % (size + 1) + data for size in range(8)]

    run(tmp_path, test)


def test_port_forward_outlives_a_port_that_nobody_serves(environment: dict[str, str], tmp_path: Path) -> None:
    async def test(_: World) -> None:
        async with source(b"") as port, forwarding(port, environment) as local:
            assert await fetch(local, b"") == b"1\n"
        async with forwarding(1, environment) as local:
            assert await fetch(local, b"") == b""

    run(tmp_path, test)


def test_logs_are_read(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_text("2026-01-01T00:00:00.000000000Z stdout F one\n2026-01-01T00:00:01.000000000Z stderr F two\n")

    async def test(made: World) -> None:
        made.runtime.containers["c1"] = {"id": "c1", "log_path": str(log)}
        assert await kubectl("logs", "p", environment=environment) == (0, b"one\ntwo\n", b"")
        assert await kubectl("logs", "p", "--tail=1", environment=environment) == (0, b"two\n", b"")
        code, _, err = await kubectl("logs", "p", "--previous", environment=environment)
        assert code == 1
        assert err == (b'Error from server (BadRequest): previous terminated container "c" in pod "p" not found\n')
        waiting = [{"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}]
        made.add(pod("new", containerStatuses=waiting))
        _, _, err = await kubectl("logs", "new", environment=environment)
        assert err == (
            b'Error from server (BadRequest): container "c" in pod "new" is waiting to start: ContainerCreating\n'
        )

    run(tmp_path, test)


def test_logs_are_followed_to_the_end(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_text("2026-01-01T00:00:00.000000000Z stdout F one\n")

    async def test(made: World) -> None:
        made.runtime.containers["c1"] = {"id": "c1", "log_path": str(log)}
        assert kubectl_path is not None
        process = await asyncio.create_subprocess_exec(
            kubectl_path, "logs", "-f", "p", env=environment, stdin=-3, stdout=-1
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"one\n"
        with log.open("a") as file:
            file.write("2026-01-01T00:00:01.000000000Z stdout F two\n")
        assert await process.stdout.readline() == b"two\n"
        ended = [{"name": "c", "containerID": "fake://c1", "state": {"terminated": {"containerID": "fake://c1"}}}]
        made.add(pod(containerStatuses=ended))
        assert await process.stdout.read() == b""
        assert await process.wait() == 0

    run(tmp_path, test)
