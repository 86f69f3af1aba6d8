"""Admission of one write: the built-in plugins in their order, then what lies outside (webhooks, policies, quotas)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.admission.plugins import OUTER, Plugins
from knarr.apiserver.attributes import Attributes
from knarr.component_base.metrics import Histogram


class Admission(Protocol):
    """An admission step that may have to wait: webhooks, policies, quotas.

    It has one or both of the coroutines `admit` (may change `attributes.object`) and `validate` (may only refuse),
    which take the attributes and raise `StatusError`.
    """

    name: str


class Latencies(NamedTuple):
    """Where durations (seconds) are counted: of plugins by name, operation, rejected, type; of halves without name."""

    plugins: Histogram
    halves: Histogram


class _Step(NamedTuple):
    """One call of a half, and under what its durations are counted while it lets writes pass."""

    call: Callable[[Attributes], Any]
    key: tuple[str, ...]


class _Half(NamedTuple):
    """One half (`admit`, `validate`) for one operation on one resource."""

    name: str
    operation: str
    plugins: tuple[_Step, ...]
    outer: tuple[_Step, ...]


class AdmissionChain:
    """All admission of a server; `outer` steps run after the built-in plugins, in the order of `OUTER`."""

    def __init__(self, plugins: Plugins, latencies: Latencies, outer: Sequence[Admission] = ()) -> None:
        self.plugins = plugins
        self.outer: list[Admission] = []
        self._latencies = latencies
        self._halves: dict[tuple[str, str, tuple[str, str]], _Half] = {}
        for step in outer:
            self.add(step)

    def add(self, step: Admission) -> None:
        """Add an outer step at its place in the order. Raises `ValueError` for one that has none."""
        self.outer.append(step)
        self.outer.sort(key=lambda step: OUTER.index(step.name))
        self._halves.clear()

    async def admit(self, attributes: Attributes) -> None:
        """Run the mutating half, once more where webhooks or policies changed the object. Raises `StatusError`."""
        half = self._half("admit", attributes)
        await self._run(half, attributes)
        if attributes.reinvoke and not attributes.again:
            attributes.again = True
            await self._run(half, attributes)

    async def validate(self, attributes: Attributes) -> None:
        """Run the validating half. Raises `StatusError`."""
        await self._run(self._half("validate", attributes), attributes)

    def _half(self, name: str, attributes: Attributes) -> _Half:
        key = (name, attributes.operation, attributes.kind_key)
        found = self._halves.get(key)
        if found is None:
            found = self._halves[key] = self._made(*key)
        return found

    def _made(self, half: str, operation: str, kind_key: tuple[str, str]) -> _Half:
        def step(one: Any) -> _Step:
            return _Step(getattr(one, half), (one.name, operation, "false", half))

        wanting = self.plugins.mutators if half == "admit" else self.plugins.validators
        outer = (one for one in self.outer if hasattr(one, half))
        return _Half(half, operation, tuple(map(step, wanting(kind_key))), tuple(map(step, outer)))

    async def _run(self, half: _Half, attributes: Attributes) -> None:
        """Call the steps of a half, and count how long each took; who raises has rejected."""
        observe = self._latencies.plugins.observe
        began = last = perf_counter()
        name, rejected = "", "false"
        try:
            for call, key in half.plugins:
                name = key[0]
                call(attributes)
                now = perf_counter()
                observe(now - last, key)
                last = now
            for call, key in half.outer:
                name = key[0]
                waiting: Awaitable[None] = call(attributes)
                await waiting
                now = perf_counter()
                observe(now - last, key)
                last = now
        except StatusError:
            rejected = "true"
            observe(perf_counter() - last, (name, half.operation, rejected, half.name))
            raise
        finally:
            self._latencies.halves.observe(perf_counter() - began, (half.operation, rejected, half.name))
