"""Listeners of the watch cache hear of what they asked for, and of every collection, whenever they come."""

from __future__ import annotations

from knarr.api.registry import CONFIGMAPS, FLOWSCHEMAS
from knarr.apiserver.watch_cache import Change, Collection, WatchCache
from knarr.storage.store import Event, KeyValue


def test_who_asks_for_a_group_hears_of_no_other() -> None:
    cache = WatchCache()
    for resource in (CONFIGMAPS, FLOWSCHEMAS):
        cache.add(resource, resource.api_version)
    heard: dict[str, list[str]] = {"all": [], "core": [], "flows": [], "both": []}

    def listener(name: str):  # type: ignore[no-untyped-def] # noqa: ANN202
        def note(collection: Collection, _change: Change) -> None:
            heard[name].append(collection.resource.plural)

        return note

    def change(revision: int) -> None:
        for at, resource in enumerate((CONFIGMAPS, FLOWSCHEMAS)):
            key = resource.key("n", f"a{revision}")
            kv = KeyValue(key, b'{"metadata":{"name":"a"}}', revision + at, revision + at)
            cache.apply([Event(kv, False, None)])

    cache.listen(listener("core"), "")
    cache.listen(listener("flows"), FLOWSCHEMAS.group)
    change(1)
    # Who comes later is told from then on.
    cache.listen(listener("all"))
    cache.listen(listener("both"), "", FLOWSCHEMAS.group)
    change(3)
    both = ["configmaps", "flowschemas"]
    assert heard == {"core": ["configmaps"] * 2, "flows": ["flowschemas"] * 2, "all": both, "both": both}
