"""The file of audit events, and what becomes of full ones."""

from __future__ import annotations

import datetime
import json
import stat
from pathlib import Path

from knarr.apiserver.audit.log import AuditLog, Rotation, outdated
from knarr.component_base.clock import FakeClock


def _moment(day: int) -> datetime.datetime:
    return datetime.datetime(2026, 1, day, tzinfo=datetime.UTC)


def test_full_files_are_kept_for_a_while(tmp_path: Path) -> None:
    clock, path = FakeClock(), tmp_path / "logs" / "audit.log"
    log = AuditLog(str(path), Rotation(size=80, backups=2), clock)
    for number in range(12):
        log.write({"number": number, "text": "x" * 10})
        clock.advance(1)
    log.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    files = sorted(path.parent.iterdir())
    assert [each.name for each in files] == [
        "audit-2026-01-01T00-00-08.000.log",
        "audit-2026-01-01T00-00-10.000.log",
        "audit.log",
    ]
    lines = [json.loads(line)["number"] for each in files for line in each.read_text().splitlines()]
    assert lines == [6, 7, 8, 9, 10, 11]


def test_a_log_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for number in range(2):
        log = AuditLog(str(path), Rotation(), FakeClock())
        log.write({"number": number})
        log.close()
    assert path.read_text() == '{"number":0}\n{"number":1}\n'


def test_which_files_are_outdated() -> None:
    files = [(_moment(day), Path(f"{day}")) for day in range(1, 11)]
    assert outdated(files, Rotation(), _moment(11)) == []
    assert outdated(files, Rotation(backups=8), _moment(11)) == [Path("2"), Path("1")]
    assert outdated(files, Rotation(days=9), _moment(11)) == [Path("1")]
    assert outdated(files, Rotation(backups=9, days=9), _moment(11)) == [Path("1")]
