"""Work of a forked process. Each test forks from an interpreter of its own, which has no threads."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
from knarr.component_base.child import Child, ChildError
child = Child(lambda: {work})
try:
    child.join()
    print("parent: done")
except ChildError as error:
    print("parent:", error)
"""


def run(work: str) -> tuple[list[str], str]:
    """What parent and child print, and their errors."""
    program = [sys.executable, "-c", _PROGRAM.format(work=work)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    return done.stdout.splitlines(), done.stderr


def test_the_work_is_done_when_it_is_joined() -> None:
    assert run('print("child: work", flush=True)') == (["child: work", "parent: done"], "")


def test_a_failure_is_shown_and_raised() -> None:
    shown, errors = run("1 / 0")
    assert shown == ["parent: ended with exit code 1"]
    assert "ZeroDivisionError" in errors


def test_a_child_that_is_killed_has_failed() -> None:
    assert run("__import__('os').kill(__import__('os').getpid(), 9)")[0] == ["parent: ended with exit code -9"]
