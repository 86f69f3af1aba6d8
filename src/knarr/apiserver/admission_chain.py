"""Admission of one write: the built-in plugins in their order, then what lies outside (webhooks, policies)."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple, Protocol, Self

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.admission.plugins import OUTER, Plugins
from knarr.apiserver.attributes import Attributes
from knarr.component_base.metrics import Histogram


class Admission(Protocol):
    """An admission step that may have to wait: webhooks, policies, quotas."""

    name: str

    async def admit(self, attributes: Attributes) -> None:
        """May change `attributes.object`. Raises `StatusError`."""
        ...

    async def validate(self, attributes: Attributes) -> None:
        """May only refuse. Raises `StatusError`."""
        ...


class AdmissionChain:
    """All admission of a server; `outer` steps run after the built-in plugins, in the order of `OUTER`."""

    def __init__(self, plugins: Plugins, latencies: Latencies, outer: Sequence[Admission] = ()) -> None:
        self.plugins = plugins
        self.outer: list[Admission] = []
        self._latencies = latencies
        for step in outer:
            self.add(step)

    def add(self, step: Admission) -> None:
        """Add an outer step at its place in the order. Raises `ValueError` for one that has none."""
        self.outer.append(step)
        self.outer.sort(key=lambda step: OUTER.index(step.name))

    async def admit(self, attributes: Attributes) -> None:
        """Run the mutating half. Raises `StatusError`."""
        with _Timer(self._latencies, attributes.operation, "admit") as timer:
            for plugin in self.plugins.mutators(attributes.kind_key):
                timer.name = plugin.name
                plugin.admit(attributes)
                timer.done()
            for step in self.outer:
                timer.name = step.name
                await step.admit(attributes)
                timer.done()

    async def validate(self, attributes: Attributes) -> None:
        """Run the validating half. Raises `StatusError`."""
        with _Timer(self._latencies, attributes.operation, "validate") as timer:
            for plugin in self.plugins.validators(attributes.kind_key):
                timer.name = plugin.name
                plugin.validate(attributes)
                timer.done()
            for step in self.outer:
                timer.name = step.name
                await step.validate(attributes)
                timer.done()


class Latencies(NamedTuple):
    """Where durations (seconds) are counted: of plugins by name, operation, rejected, type; of halves without name."""

    plugins: Histogram
    halves: Histogram


class _Timer:
    """Times one half of admission, and the plugins in it; who raises has rejected."""

    def __init__(self, latencies: Latencies, operation: str, half: str) -> None:
        self.name = ""
        self._latencies = latencies
        self._operation = operation
        self._half = half
        self._began = self._last = perf_counter()

    def __enter__(self) -> Self:
        return self

    def done(self) -> None:
        """The plugin of that name has let the write pass."""
        self._plugin("false")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        rejected = "true" if isinstance(error, StatusError) else "false"
        if rejected == "true" and self.name:
            self._plugin(rejected)
        seconds = perf_counter() - self._began
        self._latencies.halves.observe(seconds, (self._operation, rejected, self._half))

    def _plugin(self, rejected: str) -> None:
        now = perf_counter()
        self._latencies.plugins.observe(now - self._last, (self.name, self._operation, rejected, self._half))
        self._last, self.name = now, ""
