from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.component_base.clock import FakeClock
from knarr.cri.fake import FakeRuntime
from knarr.cri.runtime import CriError
from knarr.kubelet import logs, termination
from knarr.kubelet.log_lines import LogOptions, Selection, full_stamp, parse, since
from knarr.kubelet.log_rotation import LogRotator, Rotation

STAMP = "2026-01-02T03:04:%02d.5Z"


def line(text: str, second: int = 0, stream: str = "stdout", tag: str = "F") -> bytes:
    return f"{STAMP % second} {stream} {tag} {text}\n".encode()


THREE = line("one", 1) + line("two", 2, "stderr") + line("three", 3)


def read(path: Path, options: LogOptions, ended: Callable[[], bool] = lambda: True) -> bytes:
    async def main() -> bytes:
        return b"".join([data async for data in logs.read(path, options, ended)])

    return asyncio.run(main())


@pytest.fixture(autouse=True)
def _only_the_watch_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_ASK", 60.0)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "0.log"
    path.write_bytes(THREE)
    return path


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (LogOptions(), "one\ntwo\nthree\n"),
        (LogOptions(tail=2), "two\nthree\n"),
        (LogOptions(tail=0), ""),
        (LogOptions(tail=9), "one\ntwo\nthree\n"),
        (LogOptions(limit=5), "one\nt"),
        (LogOptions(limit=0), ""),
        (LogOptions(stream="Stderr"), "two\n"),
        (LogOptions(since=datetime(2026, 1, 2, 3, 4, 2, tzinfo=UTC)), "two\nthree\n"),
        (LogOptions(tail=1, timestamps=True), "2026-01-02T03:04:03.500000000Z three\n"),
        (LogOptions(follow=True, tail=1), "three\n"),
    ],
)
def test_what_is_asked_for(log: Path, options: LogOptions, text: str) -> None:
    assert read(log, options).decode() == text


def test_partial_lines_are_one_line(log: Path) -> None:
    log.write_bytes(line("a", 1, tag="P") + line("b", 2, tag="P") + line("c", 3) + line("d", 4) + b"rubbish\n")
    assert read(log, LogOptions(timestamps=True)) == (
        b"2026-01-02T03:04:01.500000000Z abc\n2026-01-02T03:04:04.500000000Z d\n"
    )


def test_a_line_that_is_being_written_is_shown_at_the_end_only(log: Path) -> None:
    log.write_bytes(THREE[:-1])
    assert read(log, LogOptions()) == b"one\ntwo\nthree\n"


def test_there_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "0.log", LogOptions())


@given(st.lists(st.text("ab\n", max_size=5)), st.integers(0, 8))
def test_the_tail_is_the_last_lines(texts: list[str], count: int) -> None:
    data = "".join(text + "\n" for text in texts).encode()
    lines = data.splitlines(keepends=True)
    start = logs.tail_start(io.BytesIO(data), count)
    assert data[start:] == b"".join(lines[len(lines) - count :] if count < len(lines) else lines)


def test_the_tail_of_a_long_file_is_found_from_its_end() -> None:
    data = b"".join(b"%d\n" % number for number in range(100_000))
    assert data[logs.tail_start(io.BytesIO(data), 20_000) :].startswith(b"80000\n")


def test_stamps_have_nine_digits() -> None:
    assert full_stamp(b"2026-01-02T03:04:05Z") == b"2026-01-02T03:04:05.000000000Z"
    assert full_stamp(b"2026-01-02T03:04:05+02:00") == b"2026-01-02T03:04:05.000000000+02:00"
    assert full_stamp(b"2026-01-02T03:04:05.12-02:00") == b"2026-01-02T03:04:05.120000000-02:00"


def test_lines_without_text() -> None:
    parsed = parse(b"2026-01-02T03:04:05Z stdout F")
    assert parsed is not None
    assert parsed.text == b""
    assert parse(b"2026-01-02T03:04:05Z nowhere F x") is None
    assert since(datetime(2026, 1, 2, tzinfo=UTC), 86400, None) == datetime(2026, 1, 1, tzinfo=UTC)
    assert since(datetime(2026, 1, 2, tzinfo=UTC), None, "2026-01-01T01:00:00+01:00") == datetime(
        2026, 1, 1, tzinfo=UTC
    )


class Follower:
    """Reads along and keeps what it got."""

    def __init__(self, path: Path, options: LogOptions) -> None:
        self.ended = False
        self.got = b""
        self._task = asyncio.ensure_future(self._follow(path, options))

    async def _follow(self, path: Path, options: LogOptions) -> None:
        async for data in logs.read(path, options, lambda: self.ended):
            self.got += data

    async def until(self, got: bytes) -> None:
        async with asyncio.timeout(90):
            while self.got != got:  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    async def end(self, path: Path) -> None:
        self.ended = True
        append(path, b"")  # the runtime closes the file
        async with asyncio.timeout(90):
            await self._task


def follow(path: Path, options: LogOptions, test: Callable[[Follower], Coroutine[Any, Any, None]]) -> bytes:
    async def main() -> bytes:
        follower = Follower(path, options)
        await test(follower)
        await follower.end(path)
        return follower.got

    return asyncio.run(main())


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)


def test_followers_hear_of_lines_at_once_and_through_rotations(log: Path) -> None:
    async def test(follower: Follower) -> None:
        await follower.until(b"three\n")
        append(log, line("four")[:-3])
        append(log, line("four")[-3:])
        await follower.until(b"three\nfour\n")
        moved = log.with_name("0.log.1")
        log.rename(moved)
        append(moved, line("five"))  # written after the move, before the runtime has reopened
        await follower.until(b"three\nfour\nfive\n")
        log.touch()
        append(moved, line("six"))  # the new file is there, the writer has not switched yet
        append(log, line("seven"))
        await follower.until(b"three\nfour\nfive\nsix\nseven\n")

    assert follow(log, LogOptions(follow=True, tail=1), test).endswith(b"seven\n")


def test_what_was_written_just_before_the_end_is_read(log: Path) -> None:
    async def test(follower: Follower) -> None:
        await follower.until(b"three\n")
        append(log, line("last"))

    assert follow(log, LogOptions(follow=True, tail=1), test) == b"three\nlast\n"


def test_a_follower_ends_at_its_limit(log: Path) -> None:
    assert read(log, LogOptions(follow=True, limit=4), lambda: False) == b"one\n"


def test_a_log_that_grew_too_large_is_rotated_and_older_ones_are_compressed(tmp_path: Path) -> None:
    async def main() -> None:
        clock = FakeClock()
        runtime = FakeRuntime(clock)
        log = tmp_path / "0.log"
        rotator = LogRotator(runtime, clock, lambda: [("c", log), ("none", tmp_path / "1.log")], Rotation(10, 4))
        for number in range(6):
            log.write_bytes(b"%d" % number * 10)
            await rotator.check()
            assert not log.exists()
            clock.advance(10)
        log.write_bytes(b"short")
        await rotator.check()
        names = sorted(path.name for path in tmp_path.iterdir())
        stamps = ["20260101-000030", "20260101-000040", "20260101-000050"]
        assert names == ["0.log", *[f"0.log.{stamp}" for stamp in [f"{stamps[0]}.gz", f"{stamps[1]}.gz", stamps[2]]]]
        assert gzip.decompress((tmp_path / names[1]).read_bytes()) == b"3" * 10
        assert runtime.calls == [("reopen_log", "c")] * 6
        logs.remove_container(log)
        assert list(tmp_path.iterdir()) == []

    asyncio.run(main())


def test_a_log_the_runtime_does_not_reopen_stays(tmp_path: Path) -> None:
    async def main() -> None:
        clock = FakeClock()
        runtime = FakeRuntime(clock)
        log = tmp_path / "0.log"
        log.write_bytes(b"x" * 10)
        (tmp_path / "0.log.20250101-000000.tmp").touch()
        runtime.fail["reopen_log"] = [CriError("Unknown", "no")]
        await LogRotator(runtime, clock, lambda: [("c", log)], Rotation(10, 4)).check()
        assert [path.name for path in tmp_path.iterdir()] == ["0.log"]

    asyncio.run(main())


def test_logs_of_pods_that_are_gone_are_removed(tmp_path: Path) -> None:
    pods = [{"metadata": {"namespace": "ns", "name": name, "uid": f"uid-{name}"}} for name in ("a", "b")]
    for pod in pods:
        path = logs.container_log(tmp_path, pod, "c", 0)
        assert path == tmp_path / f"ns_{pod['metadata']['name']}_{pod['metadata']['uid']}" / "c" / "0.log"
        path.parent.mkdir(parents=True)
    assert logs.remove_orphans(tmp_path, frozenset({"uid-a"})) == [tmp_path / "ns_b_uid-b"]
    logs.remove_pod(tmp_path, pods[0])
    assert list(tmp_path.iterdir()) == []


CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "FallbackToLogsOnError"}


def test_termination_messages_come_from_the_file_or_else_the_log(tmp_path: Path, log: Path) -> None:
    file = termination.message_file(tmp_path, "uid", "c", "abc")
    assert file == tmp_path / "pods/uid/containers/c/abc"
    assert file.stat().st_mode & 0o777 == 0o666
    assert termination.message(CONTAINER, file, log, failed=True) == "one\ntwo\nthree\n"
    assert termination.message(CONTAINER, file, log, failed=False) == ""
    only_file = {**CONTAINER, "terminationMessagePolicy": "File"}
    assert termination.message(only_file, file, log, failed=True) == ""
    file.write_text("x" * 5000 + "end")
    assert termination.message(CONTAINER, file, log, failed=True) == "x" * 4093 + "end"
    file.unlink()
    text = termination.message(CONTAINER, file, log, failed=True)
    assert text == f"Error on reading termination log {file}: No such file or directory"


def test_a_message_from_the_log_is_80_lines_and_2048_bytes_at_most(tmp_path: Path, log: Path) -> None:
    file = termination.message_file(tmp_path, "uid", "c", "abc")
    log.write_bytes(b"".join(line(str(number)) for number in range(100)))
    assert termination.message(CONTAINER, file, log, failed=True).splitlines() == [str(n) for n in range(20, 100)]
    log.write_bytes(line("y" * 3000))
    assert termination.message(CONTAINER, file, log, failed=True) == "y" * 2047 + "\n"


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.sampled_from("PF"), st.text("ab", max_size=3))))
def test_taking_lines_together_or_one_by_one_is_the_same(parts: list[tuple[str, str, str]]) -> None:
    raw = [line(text, 1, stream, tag)[:-1] for stream, tag, text in parts]
    options = LogOptions(timestamps=True, limit=100)
    alone = Selection(options)
    assert Selection(options).take(raw) == b"".join(alone.take([each]) for each in raw)
