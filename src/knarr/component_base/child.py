"""Work that a copy of this process does meanwhile."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

_PR_SET_PDEATHSIG = 1


class ChildError(Exception):
    """The work failed; what went wrong stands on standard error."""


class Child:
    """A forked process that does one piece of work and ends. To be made before this process has any threads."""

    def __init__(self, work: Callable[[], None]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self._pid = os.fork()
        if not self._pid:
            _run(work, parent)

    def join(self) -> None:
        """Wait until the work is done. Raises `ChildError`."""
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        if code:
            raise ChildError(f"ended with exit code {code}")


def _run(work: Callable[[], None], parent: int) -> NoReturn:
    code = 1
    try:
        # Dies with its parent: two starts in a row must not both be at it.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            work()
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may get past here: the caller's code is another process's
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)
