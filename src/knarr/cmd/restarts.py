"""When something that died is started again: soon after a long life, later after each short one."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
#: What ran this long (seconds) died of something new: start again at once.
STEADY = 2.0


@dataclass(slots=True)
class Restarts:
    """The restarts of one program. Seconds."""

    _next: float = FIRST_PAUSE

    def pause(self, lived: float) -> float:
        """How long to wait after a life of `lived` seconds."""
        pause = FIRST_PAUSE if lived >= STEADY else self._next
        self._next = min(pause * 2, LONGEST_PAUSE)
        return pause
