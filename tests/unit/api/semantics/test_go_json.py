"""Patched objects as messages quote them."""

from typing import Any

from knarr.api import codec
from knarr.api.semantics import go_json
from knarr.apimachinery import json_patch, merge_patch

POD: dict[str, Any] = {
    "metadata": {"resourceVersion": "7", "name": "p", "uid": "u", "labels": {"b": "2", "a": "1"}},
    "spec": {"containers": [{"image": "i", "name": "c"}]},
    "kind": "Pod",
    "apiVersion": "v1",
}
INFO = codec.type_of("v1", "Pod")


def merged(patch: Any) -> str:
    assert INFO is not None
    return go_json.patched(INFO, merge_patch.apply(POD, patch), POD, merged=True)


def test_what_was_left_alone_is_in_the_order_of_declaration() -> None:
    assert merged({"spec": {"nodeName": "<n>"}}) == (
        '{"apiVersion":"v1","kind":"Pod",'
        '"metadata":{"name":"p","uid":"u","resourceVersion":"7","labels":{"a":"1","b":"2"}},'
        '"spec":{"containers":[{"name":"c","image":"i"}],"nodeName":"\\u003cn\\u003e"}}'
    )


def test_what_a_merge_went_into_or_brought_is_sorted() -> None:
    text = merged({"metadata": {"annotations": {"z": "1", "a": {"y": 1, "b": None, "c": 2}}}})
    assert '"metadata":{"annotations":{"a":{"c":2,"y":1},"z":"1"},"labels":' in text


def test_what_a_json_patch_brings_is_as_it_was_sent() -> None:
    assert INFO is not None
    patched = json_patch.apply(POD, [{"op": "add", "path": "/metadata/annotations", "value": {"z": 1, "a": 2}}])
    assert '"metadata":{"annotations":{"z":1,"a":2},"labels":' in go_json.patched(INFO, patched, POD, merged=False)
