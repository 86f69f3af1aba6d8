"""The signals that ask a command to end, taken down instead of cutting it off in the middle of something."""

from __future__ import annotations

import signal
import socket

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Ends:
    """Listens from its making on; in the main thread only. What was ignored before (`nohup`) stays ignored."""

    def __init__(self) -> None:
        #: Becomes readable when a signal comes.
        self.wake, writer = socket.socketpair()
        for end in (self.wake, writer):
            end.setblocking(False)
        #: What came, oldest first.
        self.asked: list[int] = []
        signal.set_wakeup_fd(writer.detach())
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda received, _: self.asked.append(received))
