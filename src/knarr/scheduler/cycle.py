"""One scheduling cycle: pod and snapshot in, a node or the reason why there is none out.

Of many nodes only so many are searched until enough fit (`enough`); the search goes on where the last one ended, so
that all nodes have their turn. Among the best nodes `pick` chooses: given a number, it returns an index below it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from knarr.scheduler.diagnosis import Diagnosis, FitError, NoNodesError
from knarr.scheduler.framework import Code, FilterPlugin, NodeFilter, ScorePlugin, Snapshot, Status, unresolvable
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_info import PodInfo
from knarr.scheduler.profile import Profile

#: With fewer nodes all are searched, and never fewer are found enough.
MIN_FEASIBLE = 100
_MIN_PERCENTAGE = 5
#: Which plugin refuses a node, and why.
_Verdict: TypeAlias = tuple[str, Status]
#: Nobody does.
_PASSED: _Verdict = ("", Status(Code.UNSCHEDULABLE, ()))


@dataclass(frozen=True, slots=True)
class Decision:
    """Where the pod goes. `searched` nodes were looked at, `feasible` of them fit; `next_start` is the next cycle's."""

    node_name: str
    searched: int
    feasible: int
    next_start: int


@dataclass(frozen=True, slots=True)
class Settings:
    """How to decide. `percentage` of nodes that are enough if they fit, 0 for a share that sinks as nodes rise."""

    profile: Profile
    pick: Callable[[int], int]
    percentage: int = 0


def schedule(pod: PodInfo, snapshot: Snapshot, settings: Settings, start: int = 0) -> Decision:
    """Choose a node for the pod, searching from node number `start` on. Raises `FitError` or `NoNodesError`."""
    if not snapshot.nodes:
        raise NoNodesError
    search = _Search(pod, snapshot, settings.profile.filters)
    fitting, searched = search.run(start, enough(len(snapshot.nodes), settings.percentage))
    if not fitting:
        raise FitError(search.diagnosis)
    best = _best(pod, snapshot, fitting, settings)
    return Decision(best.name, searched, len(fitting), (start + searched) % len(snapshot.nodes))


def enough(nodes: int, percentage: int = 0) -> int:
    """How many fitting nodes are enough to choose from."""
    if nodes < MIN_FEASIBLE or percentage >= 100:
        return nodes
    share = percentage or max(50 - nodes // 125, _MIN_PERCENTAGE)
    return max(nodes * share // 100, MIN_FEASIBLE)


class _Search:
    """Finds the nodes that fit, and remembers why the others do not."""

    def __init__(self, pod: PodInfo, snapshot: Snapshot, plugins: Sequence[FilterPlugin]) -> None:
        self._snapshot = snapshot
        self.diagnosis = Diagnosis(len(snapshot.nodes))
        self._names: frozenset[str] | None = None
        #: Those that come first and say the same of a node until it changes, and all from the first other one on.
        self._static: list[tuple[str, NodeFilter]] = []
        self._filters: list[tuple[str, NodeFilter]] = []
        self._prepare(pod, plugins)
        names = tuple(name for name, _ in self._static)
        self._verdicts: dict[str, _Verdict] = snapshot.memo.get((names, pod.placement), dict)

    def _prepare(self, pod: PodInfo, plugins: Sequence[FilterPlugin]) -> None:
        narrowing = []
        for plugin in plugins:
            found = plugin.pre_filter(pod, self._snapshot)
            if found.rejection is not None:
                self._reject(plugin.name, ", ".join(found.rejection.reasons))
            if found.node_names is not None:
                narrowing.append(plugin.name)
                self._names = found.node_names if self._names is None else self._names & found.node_names
                if not self._names:
                    listed = " ".join(sorted(narrowing))
                    both = f"s [{listed}] simultaneously" if len(narrowing) > 1 else f" {listed}"
                    self._reject(plugin.name, f"node(s) didn't satisfy plugin{both}")
            if found.filter is not None:
                first = found.static and not self._filters
                (self._static if first else self._filters).append((plugin.name, found.filter))
        if self._names is not None:
            listed = " ".join(sorted(narrowing))
            self.diagnosis.absent = unresolvable(f"node(s) didn't satisfy plugin(s) [{listed}]")
            self.diagnosis.plugins.update(narrowing)

    def _reject(self, plugin: str, message: str) -> None:
        self.diagnosis.plugins.add(plugin)
        self.diagnosis.pre_filter = message
        raise FitError(self.diagnosis)

    def run(self, start: int, wanted: int) -> tuple[list[NodeInfo], int]:
        """The fitting nodes (`wanted` at most), and how many were looked at."""
        if self._names is not None:
            by_name = self._snapshot.nodes_by_name
            candidates: Sequence[NodeInfo] = [n for name in sorted(self._names) if (n := by_name.get(name)) and n.obj]
            start = 0
        else:
            candidates = self._snapshot.nodes
        fitting: list[NodeInfo] = []
        count = len(candidates)
        for step in range(count):
            node = candidates[(start + step) % count]
            if self._fits(node):
                fitting.append(node)
                if len(fitting) >= wanted:
                    return fitting, step + 1
        return fitting, count

    def _fits(self, node: NodeInfo) -> bool:
        verdict = self._verdicts.get(node.name)
        if verdict is None:
            verdict = self._verdicts[node.name] = _judge(self._static, node)
        if verdict is _PASSED and self._filters:
            verdict = _judge(self._filters, node)
        if verdict is _PASSED:
            return True
        name, status = verdict
        self.diagnosis.statuses[node.name] = status
        self.diagnosis.plugins.add(name)
        return False


def _judge(filters: Sequence[tuple[str, NodeFilter]], node: NodeInfo) -> _Verdict:
    """The first refusal, and whose it is."""
    for name, judge in filters:
        status = judge(node)
        if status is not None:
            return name, status
    return _PASSED


def _best(pod: PodInfo, snapshot: Snapshot, nodes: list[NodeInfo], settings: Settings) -> NodeInfo:
    if len(nodes) == 1:
        return nodes[0]
    totals = weighted_scores(pod, snapshot, nodes, settings.profile.scores)
    highest = max(totals)
    leaders = [index for index, total in enumerate(totals) if total == highest]
    return nodes[leaders[0 if len(leaders) == 1 else settings.pick(len(leaders))]]


def weighted_scores(
    pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo], plugins: Sequence[tuple[ScorePlugin, int]]
) -> list[int]:
    """The sum of all plugins' scores for each node, each times its weight."""
    totals = [0] * len(nodes)
    for plugin, weight in plugins:
        scores = plugin.score(pod, snapshot, nodes)
        if scores is not None:
            totals = [total + weight * score for total, score in zip(totals, scores, strict=True)]
    return totals
