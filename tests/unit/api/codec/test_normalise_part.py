"""What a patch of a status left alone is taken over as it is."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api import codec

_CONTAINER = {"name": "c", "image": "i", "resources": {}}
_OLD = codec.normalise(
    "v1",
    "Pod",
    {
        "metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": {"containers": [_CONTAINER]},
        "status": {"phase": "Pending"},
        "kind": "Pod",
        "apiVersion": "v1",
    },
).object


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"phase": "Running", "startTime": "2026-01-01T00:00:00.5Z"}},
        {"status": {}},
        {"metadata": {"name": "p", "creationTimestamp": None}, "status": {"phase": "Running"}},
        {"spec": {"containers": [{**_CONTAINER, "resources": {"limits": {"cpu": "0.5"}}}]}},
        {},
    ],
)
def test_it_is_what_the_whole_object_would_be(change: dict[str, Any]) -> None:
    patched = {**_OLD, **change}
    found = codec.normalise_part("v1", "Pod", patched, _OLD)
    whole = codec.normalise("v1", "Pod", patched)
    assert found == whole
    assert found is not None and list(found.object) == list(whole.object)
    assert found.object["metadata"] is not _OLD["metadata"]
    assert (found.object["spec"] is _OLD["spec"]) == ("spec" not in change)


@pytest.mark.parametrize("change", [{"kind": "Node"}, {"status": {"phase": 1}}, {"status": {"nothing": "known"}}])
def test_what_is_not_as_it_should_be_goes_the_long_way(change: dict[str, Any]) -> None:
    assert codec.normalise_part("v1", "Pod", {**_OLD, **change}, _OLD) is None
