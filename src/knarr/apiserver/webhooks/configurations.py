"""The webhooks that configurations name, in the order in which they are called.

Input: the collection of a kind of configurations. Output: their webhooks, made ready once and anew after a change. A
request looks at one number when nothing has changed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from knarr.apimachinery.types import Object
from knarr.apiserver.cache_reader import decode
from knarr.apiserver.matching import criteria
from knarr.apiserver.matching.criteria import Criteria
from knarr.apiserver.policies.conditions import Conditions
from knarr.apiserver.watch_cache import Collection
from knarr.apiserver.webhooks import conditions

#: What a webhook may do in a dry run.
_HARMLESS = frozenset({"None", "NoneOnDryRun"})


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook of a configuration."""

    #: Tells it from all others, also of the same name.
    uid: str
    configuration: str
    name: str
    criteria: Criteria
    client_config: Object
    #: Versions of the review that it understands, the best first.
    versions: tuple[str, ...]
    #: Whether requests pass when the call fails.
    ignore: bool
    #: Seconds.
    timeout: float
    #: Whether it may be called in dry runs.
    harmless: bool
    #: `reinvocationPolicy: IfNeeded`.
    again: bool
    #: Conditions in CEL, all of which must hold.
    conditions: Conditions | None


class Configurations:
    """The webhooks of all configurations in a collection."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._made_at = -1
        self._webhooks: tuple[Webhook, ...] = ()

    @property
    def webhooks(self) -> tuple[Webhook, ...]:
        """All webhooks: configurations by name, of each its webhooks in their order."""
        if self._made_at != self._collection.changed:
            self._made_at = self._collection.changed
            self._webhooks = tuple(self._make())
        return self._webhooks

    def _make(self) -> list[Webhook]:
        out: list[Webhook] = []
        for entry in self._collection.range(self._collection.prefix):
            obj = decode(self._collection, entry)
            seen: Counter[str] = Counter()
            for item in obj.get("webhooks") or ():
                name = item["name"]
                out.append(_webhook(obj["metadata"]["name"], item, seen[name]))
                seen[name] += 1
        return out


def _webhook(configuration: str, item: Object, number: int) -> Webhook:
    def text(name: str) -> Any:
        return item.get(name) or ""

    ignore = text("failurePolicy") == "Ignore"
    return Webhook(
        uid=f"{configuration}/{item['name']}/{number}",
        configuration=configuration,
        name=item["name"],
        criteria=criteria.of_webhook(item),
        client_config=item.get("clientConfig") or {},
        versions=tuple(item.get("admissionReviewVersions") or ()),
        ignore=ignore,
        timeout=float(item.get("timeoutSeconds") or 10),
        harmless=text("sideEffects") in _HARMLESS,
        again=text("reinvocationPolicy") == "IfNeeded",
        conditions=conditions.compiled(item.get("matchConditions") or (), ignores_failures=ignore),
    )
