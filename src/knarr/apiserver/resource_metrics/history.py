"""The two newest points of every node and container, and the use that follows from them. Pure.

Input: scrapes, by node. Output: usages over the window between two points. Source of the rules: metrics-server
(pkg/storage): a container that has just been started is counted from its start, one that was restarted not before
there are two points of the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from knarr.apiserver.resource_metrics.samples import Containers, PodName, Point, Scrape

#: Seconds that a container must have run to be counted from its start.
_FRESH = 10.0


class Use(NamedTuple):
    """What was used in the `window` (seconds) up to `time`: billionths of a core, bytes."""

    time: float
    window: float
    nano_cores: int
    memory: int


class _Kept(NamedTuple):
    last: Scrape
    before: Scrape


_NOTHING = Scrape(None, {})


class History:
    """What is known of all nodes. `resolution` is the time between scrapes, in seconds."""

    def __init__(self, resolution: float) -> None:
        self._resolution = resolution
        self._nodes: dict[str, _Kept] = {}

    def store(self, node: str, scrape: Scrape) -> None:
        """Take the newest scrape of a node."""
        kept = self._nodes.get(node, _Kept(_NOTHING, _NOTHING))
        before = {
            name: points for name, pod in scrape.pods.items() if (points := self._earlier(pod, _of(kept, name))) != {}
        }
        earlier = _Pair(kept.last.node, kept.before.node)
        self._nodes[node] = _Kept(scrape, Scrape(_node_before(scrape.node, earlier), before))

    def forget(self, node: str) -> None:
        """A node is gone, or tells nothing any more."""
        self._nodes.pop(node, None)

    @property
    def nodes(self) -> frozenset[str]:
        """Nodes that something is known of."""
        return frozenset(self._nodes)

    @property
    def is_fresh(self) -> bool:
        """Whether the use of some node is not known yet, though the node is; or no node is."""
        return not self._nodes or any(kept.before.node is None for kept in self._nodes.values())

    def of_node(self, name: str) -> Use | None:
        """What a node uses; None while that is not known."""
        kept = self._nodes.get(name)
        if kept is None or kept.last.node is None or kept.before.node is None:
            return None
        return use(kept.last.node, kept.before.node)

    def of_pod(self, name: PodName, node: str) -> dict[str, Use] | None:
        """What the containers of a pod of a node use; None while that is not known of all of them.

        What other nodes say of the pod does not count: a node must not speak for another's pods.
        """
        kept = self._nodes.get(node)
        if kept is None:
            return None
        last, before = kept.last.pods.get(name, {}), kept.before.pods.get(name, {})
        found = {each: use(point, before[each]) for each, point in last.items() if each in before}
        known = {each: one for each, one in found.items() if one is not None}
        return known if known and len(known) == len(last) else None

    def _earlier(self, pod: Containers, kept: tuple[Containers, Containers]) -> dict[str, Point]:
        """The points that a pod's newest ones are compared with."""
        found = {name: self._before(point, kept[0].get(name), kept[1].get(name)) for name, point in pod.items()}
        return {name: point for name, point in found.items() if point is not None}

    def _before(self, point: Point, last: Point | None, before: Point | None) -> Point | None:
        age = point.time - point.started
        if point.started < point.time and _FRESH <= age < self._resolution:
            return point._replace(time=point.started, cpu=0.0)
        if last is None or point.started >= last.time:
            return None
        return last if point.time > last.time else before


class _Pair(NamedTuple):
    last: Point | None
    before: Point | None


def _node_before(point: Point | None, kept: _Pair) -> Point | None:
    if point is None or kept.last is None:
        return None
    return kept.last if point.time > kept.last.time else kept.before


def _of(kept: _Kept, name: PodName) -> tuple[Containers, Containers]:
    nothing: Mapping[str, Point] = {}
    return kept.last.pods.get(name, nothing), kept.before.pods.get(name, nothing)


def use(last: Point, before: Point) -> Use | None:
    """The use between two points; None where the counter has gone back or no time has passed."""
    window = last.time - before.time
    if window <= 0 or last.cpu < before.cpu:
        return None
    return Use(last.time, window, int((last.cpu - before.cpu) / window * 1e9), last.memory)
