"""Which events are written, and how: the same again raises a count, similar ones become one, too many are dropped.

Input: core/v1 Events as they are recorded, and monotonic seconds. Output: what to write. Pure. The rules and numbers
are client-go's (tools/record/events_cache.go): an event is first put together with similar ones, then with its own
repetitions, then the source's budget for the object is asked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, NamedTuple, TypeVar

from knarr.apimachinery.types import Object

#: From so many different messages of one reason on, they are combined …
SIMILAR = 10
#: … while no more than these seconds lie between two.
SIMILAR_SECONDS = 600.0
#: Events about one object that a source may write at once, and seconds until it may write one more.
BURST = 25
REFILL_SECONDS = 300.0
_REMEMBERED = 4096
_COMBINED = "(combined from similar events): "

T = TypeVar("T")


class Write(NamedTuple):
    """What to write: `patch` for the event of this name, or, without one (or if that event is gone), `event` anew."""

    key: Hashable
    event: Object
    patch: Object | None


class _Seen(NamedTuple):
    name: str
    times: int
    first: str


class _Similar:
    """The latest different messages of one reason."""

    __slots__ = ("last", "messages")

    def __init__(self) -> None:
        self.messages: dict[str, None] = {}
        self.last = 0.0


class _Budget:
    """A token bucket."""

    __slots__ = ("since", "tokens")

    def __init__(self) -> None:
        self.tokens = float(BURST)
        self.since = 0.0

    def take(self, now: float) -> bool:
        self.tokens = min(self.tokens + (now - self.since) / REFILL_SECONDS, float(BURST))
        self.since = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class _Recent(Generic[T]):
    """A mapping that forgets what was not used for longest."""

    def __init__(self) -> None:
        self._items: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable) -> T | None:
        found = self._items.get(key)
        if found is not None:
            self._items.move_to_end(key)
        return found

    def put(self, key: Hashable, value: T) -> T:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > _REMEMBERED:
            self._items.popitem(last=False)
        return value

    def drop(self, key: Hashable) -> None:
        self._items.pop(key, None)


class Correlator:
    """Remembers what was written. `rename` gives a fresh name for an event about an object."""

    def __init__(self, rename: Callable[[Object], str]) -> None:
        self._rename = rename
        self._similar: _Recent[_Similar] = _Recent()
        self._seen: _Recent[_Seen] = _Recent()
        self._budgets: _Recent[_Budget] = _Recent()

    def correlate(self, event: Object, now: float) -> Write | None:
        """What to write for an event; None for one too many."""
        event, key = self._combine(event, now)
        seen = self._seen.get(key)
        patch = None
        if seen is not None:
            patch = {
                "count": seen.times + 1,
                "lastTimestamp": event["lastTimestamp"],
                "message": event["message"],
            }
            meta = {**event["metadata"], "name": seen.name}
            event = {**event, "metadata": meta, "firstTimestamp": seen.first, "count": seen.times + 1}
        self._seen.put(key, _Seen(event["metadata"]["name"], event["count"], event["firstTimestamp"]))
        about = _about(event)
        budget = self._budgets.get(about) or self._budgets.put(about, _Budget())
        return Write(key, event, patch) if budget.take(now) else None

    def lost(self, write: Write) -> None:
        """The event could not be written at all: its next repetition begins anew."""
        self._seen.drop(write.key)

    def _combine(self, event: Object, now: float) -> tuple[Object, Hashable]:
        """The event itself, or one that stands for many similar ones; and under which key it is repeated."""
        group = (*_about(event), event["type"], event["reason"])
        similar = self._similar.get(group)
        if similar is None or now - similar.last > SIMILAR_SECONDS:
            similar = self._similar.put(group, _Similar())
        similar.last = now
        similar.messages[event["message"]] = None
        if len(similar.messages) < SIMILAR:
            return event, (*group, event["involvedObject"].get("fieldPath", ""), event["message"])
        del similar.messages[next(iter(similar.messages))]
        meta = {**event["metadata"], "name": self._rename(event["involvedObject"])}
        return {**event, "metadata": meta, "message": _COMBINED + event["message"]}, group


def _about(event: Object) -> tuple[Any, ...]:
    source, about = event["source"], event["involvedObject"]
    fields = ("kind", "namespace", "name", "uid", "apiVersion")
    return (source.get("component"), source.get("host"), *(about.get(name, "") for name in fields))
