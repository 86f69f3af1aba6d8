"""Objects found by a label are those that a look at all of them finds."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from knarr.api import registry
from knarr.apimachinery import labels
from knarr.apiserver.watch_cache import Collection
from knarr.storage.store import Event, KeyValue

ALL = "/registry/configmaps/"
PREFIXES = (ALL, ALL + "a/", ALL + "b/")
LABELS = st.dictionaries(st.sampled_from("klmnop"), st.sampled_from("xyz"), max_size=3)
#: Which object, with which labels (None: it is deleted), and what is asked then.
STEP = st.tuples(
    st.sampled_from(["a/1", "a/2", "a/3", "b/1", "b/2"]),
    st.none() | LABELS,
    st.sampled_from("klmnop"),
    st.sampled_from("xyz"),
    st.sampled_from(PREFIXES),
    st.sampled_from(["", ALL + "a/1", ALL + "a/2", ALL + "b/1"]),
)


def value_of(tags: dict[str, str] | None) -> bytes:
    return orjson.dumps({"metadata": {"name": "n", "labels": tags or {}}, "kind": "ConfigMap", "apiVersion": "v1"})


@given(st.lists(STEP, max_size=30))
def test_the_index_finds_what_a_scan_finds(
    steps: list[tuple[str, dict[str, str] | None, str, str, str, str]],
) -> None:
    collection = Collection(registry.CONFIGMAPS, "v1")
    for revision, (name, tags, label, value, prefix, after) in enumerate(steps, 1):
        collection.apply(Event(KeyValue(ALL + name, value_of(tags), revision, 1), tags is None, None))
        found = [entry.key for entry in collection.labelled(label, value, prefix, after)]
        selector = labels.from_set({label: value})
        scanned = [each for each in collection.range(prefix, after) if selector.matches(each.head.metadata.labels)]
        assert found == [entry.key for entry in scanned]
        assert all(
            collection.entries[key].revision == entry.revision for key, entry in zip(found, scanned, strict=True)
        )


def test_a_state_that_is_read_anew_is_indexed_anew() -> None:
    collection = Collection(registry.CONFIGMAPS, "v1")
    collection.apply(Event(KeyValue(ALL + "a/1", value_of({"k": "x"}), 1, 1), False, None))
    assert len(list(collection.labelled("k", "x", ALL))) == 1
    collection.reload([KeyValue(ALL + "a/2", value_of({"k": "x"}), 5, 5)], 5)
    assert [entry.key for entry in collection.labelled("k", "x", ALL)] == [ALL + "a/2"]
