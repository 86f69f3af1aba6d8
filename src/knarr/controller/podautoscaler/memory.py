"""What the controller remembers between rounds: recommendations, changes of size, selectors.

As in Kubernetes it is lost with the process; the first round then has the present size for a recommendation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from knarr.apimachinery import labels
from knarr.controller_runtime.snapshot import Key


class Recommendation(NamedTuple):
    """What the metrics asked for, before anything was held back."""

    at: datetime
    replicas: int


class Rescale(NamedTuple):
    """A change of size."""

    at: datetime
    before: int
    after: int


@dataclass(slots=True)
class Record:
    """What is remembered of one autoscaler."""

    uid: str = ""
    recommendations: list[Recommendation] = field(default_factory=list)
    #: Changes of size that its `behavior` may count, the oldest first.
    rescales: list[Rescale] = field(default_factory=list)
    #: Ordered, and not known yet to have come about.
    ordered: Rescale | None = None
    rescaled_at: datetime | None = None
    #: The selector of its target's scale, as text and parsed.
    selector_text: str = ""
    selector: labels.Selector | None = None

    def recommend(self, at: datetime, replicas: int, window: timedelta) -> None:
        """Note a recommendation; those older than the window count no more."""
        self.recommendations = [one for one in self.recommendations if one.at >= at - window]
        self.recommendations.append(Recommendation(at, replicas))

    def settle(self, *, failed: bool) -> None:
        """What was ordered has come about, or has `failed`."""
        ordered, self.ordered = self.ordered, None
        if ordered is not None and not failed:
            self.rescales.append(ordered)
            self.rescaled_at = ordered.at

    def forget_rescales(self, before: datetime) -> None:
        """Changes of size that no policy counts any more."""
        self.rescales = [one for one in self.rescales if one.at > before]

    def select(self, text: str) -> labels.Selector:
        """Take the selector of the target's scale. Raises `ValueError` where it is none."""
        if self.selector is None or text != self.selector_text:
            self.selector, self.selector_text = labels.parse(text), text
        return self.selector


class Memory:
    """The records of all autoscalers."""

    def __init__(self) -> None:
        self._records: dict[Key, Record] = {}

    def of(self, key: Key, uid: str) -> Record:
        """The record of an autoscaler, a fresh one for one that is new."""
        found = self._records.get(key)
        if found is None or found.uid != uid:
            found = self._records[key] = Record(uid)
        return found

    def forget(self, key: Key) -> None:
        """The autoscaler is gone."""
        self._records.pop(key, None)

    def selecting(self, namespace: str) -> Iterator[tuple[str, labels.Selector]]:
        """The autoscalers of a namespace, by name, whose selectors are known."""
        for key, record in self._records.items():
            if key.namespace == namespace and record.selector is not None:
                yield key.name, record.selector

    def __len__(self) -> int:
        return len(self._records)
