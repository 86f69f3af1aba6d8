"""Admission of one write: the built-in plugins in their order, then what lies outside (webhooks, policies, quotas).

Who is asked about an operation on a resource or subresource is found out once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.admission.plugins import OUTER, Plugins
from knarr.apiserver.attributes import Attributes
from knarr.component_base.metrics import Histogram, Key


class Admission(Protocol):
    """An admission step that may have to wait: webhooks, policies, quotas.

    It has one or both of the coroutines `admit` (may change `attributes.object`) and `validate` (may only refuse),
    which take the attributes and raise `StatusError`. With a function `idle(attributes)` it tells at once that it has
    nothing to say of a write: then neither is called.
    """

    name: str


class Latencies(NamedTuple):
    """Where durations (seconds) are counted: of plugins by name, operation, rejected, type; of halves without name."""

    plugins: Histogram
    halves: Histogram


class _Step(NamedTuple):
    """One call of a half, and where its durations are counted while it lets writes pass."""

    call: Callable[[Attributes], Any]
    name: str
    row: list[float]
    idle: Callable[[Attributes], bool]


class _Half(NamedTuple):
    """One half (`admit`, `validate`) for one operation on one resource or subresource."""

    name: str
    operation: str
    plugins: tuple[_Step, ...]
    outer: tuple[_Step, ...]
    #: Where those are counted that the operation does not concern.
    unconcerned: tuple[list[float], ...]
    row: list[float]


class AdmissionChain:
    """All admission of a server; `outer` steps run after the built-in plugins, in the order of `OUTER`."""

    def __init__(self, plugins: Plugins, latencies: Latencies, outer: Sequence[Admission] = ()) -> None:
        self.plugins = plugins
        self.outer: list[Admission] = []
        self._latencies = latencies
        self._halves: dict[tuple[str, str, str, str, str], _Half] = {}
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

    async def validate_outside(self, attributes: Attributes) -> None:
        """The validating half without the plugins, where these are run by themselves. Raises `StatusError`."""
        for step in self._half("validate", attributes).outer:
            if not step.idle(attributes):
                await step.call(attributes)

    def _half(self, name: str, attributes: Attributes) -> _Half:
        resource = attributes.resource
        key = (name, attributes.operation, resource.plural, resource.group, attributes.subresource)
        found = self._halves.get(key)
        if found is None:
            found = self._halves[key] = self._made(*key)
        return found

    def _made(self, half: str, operation: str, plural: str, group: str, subresource: str) -> _Half:
        rows = self._latencies.plugins

        def steps(some: Iterable[Any]) -> tuple[_Step, ...]:
            return tuple(
                _Step(getattr(one, half), one.name, rows.row(_key(one, operation, half)), getattr(one, "idle", _never))
                for one in some
            )

        wanting = (self.plugins.mutators if half == "admit" else self.plugins.validators)((plural, group))
        concerned = [one for one in wanting if getattr(one, "concerns", _always)(operation, subresource)]
        return _Half(
            half,
            operation,
            steps(concerned),
            steps(one for one in self.outer if hasattr(one, half)),
            tuple(rows.row(_key(one, operation, half)) for one in wanting if one not in concerned),
            self._latencies.halves.row((operation, "false", half)),
        )

    async def _run(self, half: _Half, attributes: Attributes) -> None:
        """Call the steps of a half, and count how long each took; who raises has rejected."""
        note = self._latencies.plugins.note
        began = last = perf_counter()
        asked = ""
        try:
            for call, asked, row, _ in half.plugins:  # noqa: B007 - told of who refuses
                call(attributes)
                now = perf_counter()
                note(row, now - last)
                last = now
            for call, asked, row, idle in half.outer:  # noqa: B007
                if idle(attributes):
                    row[0] += 1
                    continue
                waiting: Awaitable[None] = call(attributes)
                await waiting
                now = perf_counter()
                note(row, now - last)
                last = now
        except StatusError:
            now = perf_counter()
            self._latencies.plugins.observe(now - last, (asked, half.operation, "true", half.name))
            self._latencies.halves.observe(now - began, (half.operation, "true", half.name))
            raise
        for row in half.unconcerned:
            # Who has nothing to say takes no time to say it.
            row[0] += 1
        self._latencies.halves.note(half.row, last - began)


def _key(step: Any, operation: str, half: str) -> Key:
    return step.name, operation, "false", half


def _always(_operation: str, _subresource: str) -> bool:
    return True


def _never(_attributes: Attributes) -> bool:
    return False
