"""Where pods alike are: counted by node, found by selector without a look at every pod.

Pods of one workload carry the same labels and affinity, so there are few groups where there are many pods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from knarr.api.semantics.affinity import PodTerm
from knarr.apimachinery.labels import Selector
from knarr.scheduler.pod_info import GroupKey, PodInfo

_Groups: TypeAlias = "dict[GroupKey, PodGroup]"
_Key = TypeVar("_Key")


@dataclass(slots=True, eq=False)
class PodGroup:
    """Pods of one namespace with the same labels and pod affinity, all of which terminate or none.

    `nodes` counts them by node; `sample` is one of them.
    """

    sample: PodInfo
    nodes: dict[str, int] = field(default_factory=dict)


class PodGroups:
    """All groups, by namespace and by each of their labels."""

    def __init__(self) -> None:
        #: The groups of pods that have pod affinity or anti-affinity, and of those with required anti-affinity.
        self.with_affinity: _Groups = {}
        self.with_anti_affinity: _Groups = {}
        self._by_namespace: dict[str, _Groups] = {}
        self._by_label: dict[tuple[str, str, str], _Groups] = {}

    def add(self, pod: PodInfo, node_name: str) -> None:
        """Count a pod in."""
        key = pod.group_key
        groups = self._by_namespace.setdefault(pod.namespace, {})
        group = groups.get(key)
        if group is None:
            group = groups[key] = PodGroup(pod)
            if pod.has_affinity:
                self.with_affinity[key] = group
                if pod.anti_affinity_terms:
                    self.with_anti_affinity[key] = group
            for name, value in pod.labels.items():
                self._by_label.setdefault((pod.namespace, name, value), {})[key] = group
        pod.share(group.sample)
        group.nodes[node_name] = group.nodes.get(node_name, 0) + 1

    def remove(self, pod: PodInfo, node_name: str) -> None:
        """Count a pod out that was counted in."""
        key = pod.group_key
        group = self._by_namespace[pod.namespace][key]
        left = group.nodes[node_name] - 1
        if left:
            group.nodes[node_name] = left
            return
        del group.nodes[node_name]
        if not group.nodes:
            _drop(self._by_namespace, pod.namespace, key)
            self.with_affinity.pop(key, None)
            self.with_anti_affinity.pop(key, None)
            for name, value in pod.labels.items():
                _drop(self._by_label, (pod.namespace, name, value), key)

    def meant(self, term: PodTerm, namespace_labels: Callable[[str], Mapping[str, str]]) -> Iterator[PodGroup]:
        """The groups that an affinity term means."""
        for namespace in self._by_namespace:
            if namespace in term.namespaces or term.namespace_selector.matches(namespace_labels(namespace)):
                yield from self.selected(namespace, term.selector)

    def selected(self, namespace: str, selector: Selector) -> Iterator[PodGroup]:
        """The groups of a namespace that a selector selects."""
        pair = selector.one_value
        found = self._by_label.get((namespace, *pair)) if pair else self._by_namespace.get(namespace)
        for group in (found or {}).values():
            if selector.matches(group.sample.labels):
                yield group


def _drop(index: dict[_Key, _Groups], at: _Key, key: GroupKey) -> None:
    groups = index[at]
    del groups[key]
    if not groups:
        del index[at]
