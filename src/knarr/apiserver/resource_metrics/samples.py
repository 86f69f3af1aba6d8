"""What one kubelet tells at `/metrics/resource`, read into points. Pure.

Input: the exposition text. Output: a point for the node and one for each container. A pod of which a container lacks a
figure is left out, as it would seem to use less than it does.
Source of the rules: metrics-server (pkg/scraper/client/resource/decode.go).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

_NODE_CPU, _NODE_MEMORY = "node_cpu_usage_seconds_total", "node_memory_working_set_bytes"
_CPU, _MEMORY = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
_START = "container_start_time_seconds"
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+(-?\d+))?[ \t]*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
#: Bytes of an answer that are read.
MOST_BYTES = 32 * 1024 * 1024


class Point(NamedTuple):
    """What was used up to `time`. Times in seconds since 1970, `cpu` in seconds of one core, `memory` in bytes."""

    time: float
    cpu: float
    memory: int
    started: float = 0.0


#: (namespace, name) of a pod.
PodName: TypeAlias = tuple[str, str]
Containers: TypeAlias = Mapping[str, Point]


class Scrape(NamedTuple):
    """One look at one kubelet."""

    node: Point | None
    pods: Mapping[PodName, Containers]


@dataclass(slots=True)
class _Figures:
    """Figures of one container, or of the node, as they are found."""

    time: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0
    started: float = 0.0

    def point(self) -> Point | None:
        """The point; None while a figure is missing, or is no number."""
        figures = (self.cpu, self.memory)
        if not all(math.isfinite(each) and each > 0 for each in figures) or not math.isfinite(self.started):
            return None
        return Point(self.time, self.cpu, int(self.memory), self.started)


def parse(text: str, now: float) -> Scrape:
    """The points of an answer; `now` where samples tell no time. Raises `ValueError` for what is no exposition."""
    node = _Figures()
    pods: dict[PodName, dict[str, _Figures]] = {}
    for name, labels, value, time in _samples(text):
        if name in (_NODE_CPU, _NODE_MEMORY):
            found = node
        elif name in (_CPU, _MEMORY, _START):
            named = dict(_LABEL.findall(labels))
            pod = pods.setdefault((named.get("namespace", ""), named.get("pod", "")), {})
            found = pod.setdefault(named.get("container", ""), _Figures())
        else:
            continue
        _take(found, name, value, time or now)
    return Scrape(node.point(), {name: points for name, pod in pods.items() if (points := _complete(pod))})


def _take(figures: _Figures, name: str, value: float, time: float) -> None:
    if name in (_CPU, _NODE_CPU):
        figures.cpu, figures.time = value, time
    elif name == _START:
        figures.started = value
    else:
        figures.memory = value


def _complete(pod: Mapping[str, _Figures]) -> dict[str, Point]:
    points = {name: figures.point() for name, figures in pod.items()}
    found = {name: point for name, point in points.items() if point is not None}
    return found if len(found) == len(points) else {}


def _samples(text: str) -> Iterator[tuple[str, str, float, float]]:
    """Name, labels, value and time (0 for none) of each sample."""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        found = _SAMPLE.fullmatch(line)
        if found is None:
            raise ValueError(f"no sample of a metric: {line[:100]!r}")
        name, labels, value, time = found.groups()
        yield name, labels or "", float(value), int(time) / 1000 if time else 0.0
