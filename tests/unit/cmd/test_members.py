"""There is one of each member, and whoever looks knows which."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from knarr.cmd import clusters, members
from knarr.cmd.members import SERVER, SUPERVISOR
from knarr.cmd.processes import Process, identify

HOLD = """
import sys, signal
from pathlib import Path
from knarr.cmd import clusters, members
clusters.run_dir = lambda: Path(sys.argv[1])
print(members.take("a", "server"), flush=True)
signal.pause()
"""


@pytest.fixture(autouse=True)
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(clusters, "run_dir", lambda: tmp_path)
    return tmp_path


def test_one_of_each_and_its_death_makes_room(run_dir: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(run_dir)], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline().strip().isdigit()
        assert members.holder("a", SERVER) == identify(other.pid)
        assert members.take("a", SERVER) is None
        own = members.take("a", SUPERVISOR)
        assert own is not None
        os.close(own)
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate()
    assert members.holder("a", SERVER) is None
    own = members.take("a", SERVER)
    assert own is not None
    assert members.holder("a", SERVER) == identify(os.getpid())
    os.close(own)


def test_a_reused_id_is_nobody(run_dir: Path) -> None:
    me = identify(os.getpid())
    assert me is not None
    (run_dir / "a.server").write_text(f"{me.pid} {me.started - 1}\n")
    assert members.holder("a", SERVER) is None
    (run_dir / "a.server").write_text(f"{me.pid} {me.started}\n")
    assert members.holder("a", SERVER) == Process(*me)


@pytest.mark.parametrize("text", ["", "12", "x\n\n"])
def test_half_a_file_is_nobody(run_dir: Path, text: str) -> None:
    (run_dir / "a.server").write_text(text)
    assert members.holder("a", SERVER) is None


def test_the_lock_goes_to_who_is_handed_it() -> None:
    lock = members.take("a", SUPERVISOR)
    assert lock is not None
    heir = subprocess.Popen(["sleep", "1000"], pass_fds=(lock,))
    try:
        members.sign(lock, heir.pid)
        os.close(lock)
        assert members.take("a", SUPERVISOR) is None
        assert members.holder("a", SUPERVISOR) == identify(heir.pid)
    finally:
        heir.kill()
        heir.wait()
    again = members.take("a", SUPERVISOR)
    assert again is not None
    os.close(again)


def test_the_lock_of_a_removed_file_is_not_taken(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking the file, `forget` may have removed it."""
    real, calls = members._is_at, []

    def removed_once(handle: int, path: Path) -> bool:
        calls.append(handle)
        if len(calls) == 1:
            path.unlink()
        return real(handle, path)

    monkeypatch.setattr(members, "_is_at", removed_once)
    lock = members.take("a", SERVER)
    assert lock is not None
    assert len(calls) == 2
    assert members.take("a", SERVER) is None
    os.close(lock)
    members.forget("a")
    members.forget("a")
    assert list(run_dir.iterdir()) == []
