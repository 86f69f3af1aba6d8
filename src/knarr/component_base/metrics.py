"""Metrics: counters, gauges and histograms that cost a dictionary look-up each, and Prometheus' text of them.

Names and labels are Kubernetes' own (https://kubernetes.io/docs/reference/instrumentation/metrics/). A key is the
tuple of label values, in the order of the family's labels.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STABLE, BETA, ALPHA = "STABLE", "BETA", "ALPHA"
Key = tuple[str, ...]
Sample = tuple[Key, float]


class Family(Protocol):
    """One metric with all its samples."""

    def lines(self) -> Iterator[str]:
        """Its part of the text."""
        ...


@dataclass(frozen=True, slots=True)
class About:
    """What a family is called and what it counts; `level` is how much Kubernetes promises of it."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    level: str = ALPHA

    def head(self, kind: str) -> Iterator[str]:
        """The lines before the samples."""
        yield f"# HELP {self.name} [{self.level}] {self.text}"
        yield f"# TYPE {self.name} {kind}"

    def pairs(self, key: Key) -> str:
        """The labels of a key, without braces."""
        return ",".join([f'{name}="{_escaped(each)}"' for name, each in zip(self.labels, key, strict=True)])

    def sample(self, key: Key, value: float) -> str:
        """One sample's line."""
        pairs = self.pairs(key)
        return f"{self.name}{{{pairs}}} {_number(value)}" if pairs else f"{self.name} {_number(value)}"


@dataclass(slots=True)
class Counter:
    """What only grows. Hot paths may write to `values` themselves."""

    about: About
    values: dict[Key, float] = field(default_factory=dict)

    def add(self, key: Key = (), by: float = 1) -> None:
        """Count."""
        self.values[key] = self.values.get(key, 0) + by

    def lines(self) -> Iterator[str]:
        """As `Family`; nothing while nothing was counted."""
        yield from _lines(self.about, "counter", self.values.items())


@dataclass(slots=True)
class Gauge:
    """What goes up and down."""

    about: About
    values: dict[Key, float] = field(default_factory=dict)

    def add(self, key: Key = (), by: float = 1) -> None:
        """Move the value; `by` may be negative."""
        self.values[key] = self.values.get(key, 0) + by

    def set(self, value: float, key: Key = ()) -> None:
        """Give the value."""
        self.values[key] = value

    def lines(self) -> Iterator[str]:
        """As `Family`."""
        yield from _lines(self.about, "gauge", self.values.items())


@dataclass(slots=True)
class Looked:
    """A gauge (or counter) whose samples are looked up when somebody asks."""

    about: About
    look: Callable[[], Iterable[Sample]]
    kind: str = "gauge"

    def lines(self) -> Iterator[str]:
        """As `Family`."""
        yield from _lines(self.about, self.kind, self.look())


@dataclass(slots=True)
class Histogram:
    """How many values fell into which bucket. `buckets` are upper bounds, rising."""

    about: About
    buckets: Sequence[float]
    #: Of each key: a count a bucket, one beyond the last bucket, and the sum.
    values: dict[Key, list[float]] = field(default_factory=dict)

    def observe(self, value: float, key: Key = ()) -> None:
        """Count one value."""
        self.note(self.values.get(key) or self.row(key), value)

    def note(self, row: list[float], value: float) -> None:
        """Count one value in the row of a key."""
        buckets = self.buckets
        # Most values are short: they need no search.
        row[0 if value <= buckets[0] else bisect.bisect_left(buckets, value)] += 1
        row[-1] += value

    def row(self, key: Key) -> list[float]:
        """The counts of a key, for hot paths that write to them themselves; shown once there is anything in them."""
        return self.values.setdefault(key, [0.0] * (len(self.buckets) + 2))

    def lines(self) -> Iterator[str]:
        """As `Family`."""
        rows = [(key, counts) for key, counts in list(self.values.items()) if any(counts)]
        if not rows:
            return
        yield from self.about.head("histogram")
        bounds = [f'le="{_number(bound)}"}}' for bound in self.buckets]
        for key, counts in rows:
            yield from self._of(self.about.pairs(key), bounds, counts)

    def _of(self, pairs: str, bounds: Sequence[str], counts: Sequence[float]) -> Iterator[str]:
        """The lines of one key: there are many of them, and none is formatted twice."""
        name, total = self.about.name, 0
        start = f"{name}_bucket{{{pairs}," if pairs else f"{name}_bucket{{"
        for bound, count in zip(bounds, counts, strict=False):
            total += int(count)
            yield f"{start}{bound} {total}"
        total += int(counts[len(bounds)])
        labels = f"{{{pairs}}}" if pairs else ""
        yield f'{start}le="+Inf"}} {total}'
        yield f"{name}_sum{labels} {_number(counts[-1])}"
        yield f"{name}_count{labels} {total}"


class Registry:
    """The families of a process, in the order they were added."""

    def __init__(self, families: Iterable[Family] = ()) -> None:
        self._families: list[Family] = list(families)

    def add(self, *families: Family) -> None:
        """Show families."""
        self._families += families

    def remove(self, *families: Family) -> None:
        """Show families no longer."""
        self._families = [each for each in self._families if each not in families]

    def text(self) -> bytes:
        """The answer of `/metrics`."""
        return "".join(f"{line}\n" for family in self._families for line in family.lines()).encode()


def exponential(first: float, factor: float, count: int) -> tuple[float, ...]:
    """Buckets that grow by a factor."""
    return tuple(first * factor**power for power in range(count))


def _lines(about: About, kind: str, samples: Iterable[Sample]) -> Iterator[str]:
    found = list(samples)
    if found:
        yield from about.head(kind)
        yield from (about.sample(key, value) for key, value in found)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.12g}"


def _escaped(text: str) -> str:
    if text.isalnum():
        return text
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
