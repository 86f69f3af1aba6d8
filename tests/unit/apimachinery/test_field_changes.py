"""What is owned of a new object, found out once for many."""

from __future__ import annotations

from knarr.api import codec
from knarr.apimachinery import field_changes
from knarr.apimachinery.types import Object


def test_a_member_that_was_null_differs_from_one_that_was_not_there() -> None:
    schema = codec.ownership("v1", "Pod")
    assert schema is not None
    spec = {"containers": [], "dnsPolicy": "Default", "nodeName": "n", "hostNetwork": True, "overhead": {"cpu": "1"}}
    empties: list[Object] = [{}, {"spec": None}, {"spec": {}}, {"spec": {"containers": None}}]
    for empty in empties:
        for _ in range(2):
            assert field_changes.compare_new(schema, empty, {"spec": spec}) == field_changes.compare(
                schema, empty, {"spec": spec}
            )


def test_a_new_object_is_compared_as_any_and_the_second_as_the_first() -> None:
    schema = codec.ownership("v1", "Pod")
    assert schema is not None
    containers = [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}], "resources": {}}]
    spec = {"containers": containers, "dnsPolicy": "Default", "nodeName": "n", "hostNetwork": True}
    empty = codec.normalise("v1", "Pod", {"metadata": {}}).object
    for name in ("a", "b"):
        pod = {**empty, "metadata": {"name": name, "labels": {name: "1"}}, "spec": spec}
        expected = field_changes.compare(schema, empty, pod)
        assert field_changes.compare_new(schema, empty, pod).changed == expected.changed
        assert list(expected.changed["f:spec"]) == sorted(expected.changed["f:spec"])
