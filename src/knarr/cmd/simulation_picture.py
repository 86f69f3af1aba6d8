"""How a simulation stands, in the terminal: a live table, or a line now and then where there is no terminal."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from knarr.component_base.clock import Clock
    from knarr.simulation.latency import MeasuredTransport
    from knarr.simulation.load import Load
    from knarr.simulation.simulation import Simulation

#: Seconds between two pictures, and between two lines where no terminal is.
_FRAME, _LINE = 0.25, 2.0
_GOOD = frozenset({"Ready", "Running", "Succeeded"})
_BAD = frozenset({"NotReady", "Failed"})


@dataclass(frozen=True, slots=True)
class Subject:
    """What is shown: the simulation, its load and its transport, and how many nodes it shall have."""

    simulation: Simulation
    load: Load
    transport: MeasuredTransport
    nodes: int


class Picture:
    """Shows a simulation as long as it is entered; needs a running event loop."""

    def __init__(self, subject: Subject, clock: Clock) -> None:
        self._subject, self._clock = subject, clock
        self._began = self._since = clock.monotonic()
        self._requests = 0
        self._rate = 0.0
        self._note = ""
        self._live: Live | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Picture:
        if sys.stdout.isatty():
            from rich.live import Live

            self._live = Live(self._table(), auto_refresh=False)
            self._live.start()
        self._tick()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer:
            self._timer.cancel()
        if self._live:
            self._live.update(self._table(), refresh=True)
            self._live.stop()

    def note(self, text: str) -> None:
        """Say what is being done now."""
        self._note = text
        if self._live is None:
            print(f"{self._seconds():8.1f} s  {text}  ({self._line()})", flush=True)

    def _tick(self) -> None:
        now, requests = self._clock.monotonic(), self._subject.transport.requests
        if now > self._since + _FRAME / 2:
            self._rate = (requests - self._requests) / (now - self._since)
        self._since, self._requests = now, requests
        if self._live:
            self._live.update(self._table(), refresh=True)
        elif now > self._began:
            print(f"{self._seconds():8.1f} s  {self._line()}", flush=True)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_FRAME if self._live else _LINE, self._tick)

    def _seconds(self) -> float:
        return self._clock.monotonic() - self._began

    def _line(self) -> str:
        simulation, transport = self._subject.simulation, self._subject.transport
        states = ", ".join(f"{count} {state}" for state, count in sorted(simulation.pods.by_state.items()) if count)
        return (
            f"nodes {simulation.nodes.by_state['Ready']}/{self._subject.nodes} ready; pods {states or 'none'}; "
            f"API {self._rate:.0f}/s, p99 {transport.quantile(0.99) * 1000:.0f} ms"
        )

    def _table(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        simulation, load, transport = self._subject.simulation, self._subject.load, self._subject.transport
        table = Table(title=f"{self._seconds():.1f} s  {self._note}", title_justify="left", box=None, show_header=False)
        ready = simulation.nodes.by_state["Ready"]
        table.add_row(
            "nodes", "ready", f"{ready:,} of {self._subject.nodes:,}", ProgressBar(self._subject.nodes, ready, 40)
        )
        if load.pods:
            what = "Deployments made" if load.deployments else "pods made"
            goal = load.deployments or load.pods
            table.add_row("load", what, f"{simulation.made:,} of {goal:,}", ProgressBar(goal, simulation.made, 40))
        for state, count in sorted(simulation.pods.by_state.items()):
            style = "green" if state in _GOOD else "red" if state in _BAD else "yellow"
            bar = ProgressBar(max(load.pods, simulation.pods.total, 1), count, 40)
            table.add_row("pods", f"[{style}]{state}[/]", f"{count:,}", bar)
        latency = f"p50 {transport.quantile(0.5) * 1000:.0f} ms, p99 {transport.quantile(0.99) * 1000:.0f} ms"
        table.add_row("API", "requests", f"{self._rate:,.0f}/s", latency)
        if simulation.heartbeats.late:
            table.add_row("nodes", "[red]heartbeats late[/]", f"{simulation.heartbeats.late:.1f} s", "")
        if simulation.refused:
            table.add_row("API", "[red]refused[/]", f"{simulation.refused:,}", "")
        return table
