from __future__ import annotations

import os
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.kubelet.volumes import atomic_writer
from knarr.kubelet.volumes.payload import File, Payload, PayloadError, check

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HEADS = st.sampled_from(["a", "b", "c"])
# A name is a file or a folder in one payload, never both.
PATHS = st.one_of(HEADS, st.tuples(st.sampled_from(["d", "e"]), HEADS).map("/".join))
PAYLOADS = st.dictionaries(PATHS, st.builds(File, st.binary(max_size=4), st.sampled_from([0o644, 0o400, 0o600])))


def nothing(_folder: Path) -> None:
    pass


def seen(target: Path) -> Payload:
    """What a container sees: everything that does not begin with two dots, through the links."""
    files = {}
    for folder, _, names in os.walk(target, followlinks=True):
        for path in (Path(folder) / name for name in names):
            relative = str(path.relative_to(target))
            if not relative.startswith(".."):
                files[relative] = File(path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
    return files


@given(st.lists(PAYLOADS, min_size=1, max_size=5))
def test_a_volume_always_shows_exactly_the_last_payload(payloads: list[Payload]) -> None:
    with tempfile.TemporaryDirectory() as name:
        target = Path(name)
        for payload in payloads:
            before = seen(target)
            wrote = atomic_writer.write(target, payload, NOW, nothing)
            assert {path: file.data for path, file in seen(target).items()} == {
                path: file.data for path, file in payload.items()
            }
            if wrote:
                assert seen(target) == payload
            else:
                assert seen(target) == before
            folders = [path for path in target.iterdir() if path.name.startswith("..2026_01_02_03_04_05.")]
            assert folders == [target / os.readlink(target / "..data")]


def test_an_update_that_fails_leaves_the_old_files_and_no_rubbish(tmp_path: Path) -> None:
    atomic_writer.write(tmp_path, {"a": File(b"1")}, NOW, nothing)
    before = sorted(path.name for path in tmp_path.iterdir())

    def fail(_folder: Path) -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        atomic_writer.write(tmp_path, {"a": File(b"2"), "b": File(b"")}, NOW, fail)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert seen(tmp_path) == {"a": File(b"1")}


def test_the_owner_is_set_before_the_files_are_seen(tmp_path: Path) -> None:
    calls = []

    def own(folder: Path) -> None:
        calls.append((folder.name[:2], (folder / "a").read_bytes(), (tmp_path / "a").exists()))

    atomic_writer.write(tmp_path, {"a": File(b"1")}, NOW, own)
    assert calls == [("..", b"1", False)]


def test_what_a_killed_writer_left_is_put_right(tmp_path: Path) -> None:
    atomic_writer.write(tmp_path, {"a": File(b"1"), "b": File(b"2")}, NOW, nothing)
    (tmp_path / "b").unlink()
    (tmp_path / "old").symlink_to("..data/old")
    (tmp_path / "..2025_01_01_00_00_00.xyz").mkdir()
    (tmp_path / "..data_tmp").symlink_to("..2025_01_01_00_00_00.xyz")
    assert not atomic_writer.write(tmp_path, {"a": File(b"1"), "b": File(b"2")}, NOW, nothing)
    assert seen(tmp_path) == {"a": File(b"1"), "b": File(b"2")}
    assert atomic_writer.write(tmp_path, {"a": File(b"3")}, NOW, nothing)
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("..2026")) == ["..data", "a"]


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../a", "a/../../b", "..data", "..", ".", "a" * 256, "a/" * 2100 + "b"]
)
def test_paths_that_leave_the_volume_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(PayloadError):
        atomic_writer.write(tmp_path, {path: File(b"")}, NOW, nothing)
    assert list(tmp_path.iterdir()) == []


def test_paths_are_made_plain() -> None:
    assert set(check({"./a//b": File(b""), "x..y": File(b"")})) == {"a/b", "x..y"}
