"""How often an update tells of a fault in metadata: once for every check that Kubernetes makes."""

from typing import Any

import pytest

from knarr.api import registry, validation
from knarr.api.resources import Resource


def resource(api_version: str, kind: str) -> Resource:
    group, _, version = api_version.rpartition("/")
    found = registry.by_kind(group, version, kind)
    assert found is not None
    return found


def faults(api_version: str, kind: str, new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    base = {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1"}
    obj = {"apiVersion": api_version, "kind": kind, "metadata": base | new}
    before = {"apiVersion": api_version, "kind": kind, "metadata": base | old}
    found = validation.validate_update(resource(api_version, kind), obj, before)
    return [error.field for error in found]


@pytest.mark.parametrize(
    ("api_version", "kind", "times"),
    [
        ("v1", "ConfigMap", 3),
        ("v1", "LimitRange", 3),
        ("v1", "ServiceAccount", 4),
        ("policy/v1", "PodDisruptionBudget", 2),
    ],
)
def test_a_bad_label_is_told_of_by_every_check(api_version: str, kind: str, times: int) -> None:
    assert faults(api_version, kind, {"labels": {"a": "b c"}}, {}).count("metadata.labels") == times


def test_a_finalizer_added_while_deleting_is_told_of_twice() -> None:
    old = {"deletionTimestamp": "2020-01-01T00:00:00Z", "finalizers": ["a.b/c"]}
    new = old | {"finalizers": ["a.b/c", "d.e/f"]}
    assert faults("v1", "ConfigMap", new, old) == ["metadata.finalizers"] * 2


def test_a_finalizer_that_is_no_standard_one_is_told_of_once() -> None:
    assert faults("v1", "ConfigMap", {"finalizers": ["x"]}, {}) == ["metadata.finalizers[0]"]
