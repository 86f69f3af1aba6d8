"""Pods: what may be in them and what may change."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from knarr.api import registry, validation
from knarr.apimachinery.types import Object

Judge = Callable[..., list[tuple[str, str]]]


def put(obj: Any, path: str, value: Any) -> None:
    *way, last = path.split(".")
    for part in way:
        obj = obj[int(part)] if part.isdigit() else obj.setdefault(part, {})
    obj[int(last) if last.isdigit() else last] = value


def test_a_plain_pod_is_fine(pod: Object, judge: Judge) -> None:
    assert judge(pod) == []
    assert judge(copy.deepcopy(pod), pod) == []


@pytest.mark.parametrize(
    ("path", "value", "field", "reason"),
    [
        ("spec.containers.0.name", "C", "spec.containers[0].name", "Invalid"),
        ("spec.containers.0.image", " x", "spec.containers[0].image", "Invalid"),
        ("spec.containers", [], "spec.containers", "Required"),
        ("spec.restartPolicy", "Often", "spec.restartPolicy", "NotSupported"),
        ("spec.volumes", [{"name": "v"}], "spec.volumes[0]", "Required"),
        ("spec.nodeName", "Bad_", "spec.nodeName", "Invalid"),
        ("spec.ephemeralContainers", [], None, None),
        ("spec.tolerations", [{"key": "a", "operator": "Is"}], "spec.tolerations[0].operator", "NotSupported"),
        ("spec.schedulingGates", [{"name": "a"}, {"name": "a"}], "spec.schedulingGates[1]", "Duplicate"),
        ("spec.containers.0.volumeMounts", [{"name": "no", "mountPath": "/x"}], None, "NotFound"),
        ("spec.containers.0.livenessProbe", {"successThreshold": 1}, "spec.containers[0].livenessProbe", "Required"),
    ],
)
def test_one_wrong_value_is_one_error(
    pod: Object, judge: Judge, path: str, value: Any, field: str | None, reason: str | None
) -> None:
    put(pod, path, value)
    found = judge(pod)
    assert [why for _, why in found] == ([reason] if reason else [])
    if field:
        assert [where for where, _ in found] == [field]


def test_a_volume_that_is_wrong_counts_as_absent_where_it_is_mounted(pod: Object, judge: Judge) -> None:
    put(pod, "spec.volumes", [{"name": "v", "configMap": {}}])
    put(pod, "spec.containers.0.volumeMounts", [{"name": "v", "mountPath": "/v"}])
    assert judge(pod) == [
        ("spec.volumes[0].configMap.name", "Required"),
        ("spec.containers[0].volumeMounts[0].name", "NotFound"),
    ]


def test_extended_resources_are_whole_and_not_overcommitted(pod: Object, judge: Judge) -> None:
    put(pod, "spec.containers.0.resources", {"requests": {"a.b/gpu": "500m"}})
    assert {reason for _, reason in judge(pod)} == {"Invalid", "Required"}


def test_an_image_may_change_and_a_command_may_not(pod: Object, judge: Judge) -> None:
    changed = copy.deepcopy(pod)
    put(changed, "spec.containers.0.image", "other")
    assert judge(changed, pod) == []
    put(changed, "spec.containers.0.command", ["sh"])
    assert judge(changed, pod) == [("spec", "Forbidden")]


def test_what_changed_is_shown_as_a_difference_of_inner_structs(pod: Object) -> None:
    changed = copy.deepcopy(pod)
    put(changed, "spec.containers.0.command", ["sh"])
    (error,) = validation.validate_update(registry.PODS, changed, pod)
    assert '-   "Command": null,\n' in error.detail and '+    "sh"\n' in error.detail


def test_tolerations_may_be_added_and_gates_removed(pod: Object, judge: Judge) -> None:
    put(pod, "spec.schedulingGates", [{"name": "a"}])
    changed = copy.deepcopy(pod)
    put(changed, "spec.schedulingGates", [])
    put(changed, "spec.tolerations", [{"key": "a", "operator": "Exists"}])
    assert judge(changed, pod) == []
    assert judge(pod, changed)[0] == ("spec.tolerations", "Forbidden")
    assert ("spec.schedulingGates[0].name", "Forbidden") in judge(pod, changed)


def test_a_resize_keeps_the_quality_of_service(pod: Object, judge: Judge) -> None:
    changed = copy.deepcopy(pod)
    put(changed, "spec.containers.0.resources", {"requests": {"cpu": "1"}})
    assert judge(changed, pod, "resize") == [("spec", "Invalid")]
    put(pod, "spec.containers.0.resources", {"requests": {"cpu": "2"}})
    assert judge(changed, pod, "resize") == []


def test_ephemeral_containers_are_only_added(pod: Object, judge: Judge) -> None:
    one = {
        "name": "dbg",
        "image": "busybox",
        "imagePullPolicy": "Always",
        "terminationMessagePolicy": "File",
    }
    added = copy.deepcopy(pod)
    put(added, "spec.ephemeralContainers", [one])
    assert judge(added, pod, "ephemeralcontainers") == []
    assert judge(pod, added, "ephemeralcontainers") == [("spec.ephemeralContainers", "Forbidden")]
    assert judge(added) == [("spec.ephemeralContainers", "Forbidden")]


def test_names_and_spread_without_selector_are_warned_about(pod: Object) -> None:
    pod["metadata"]["name"] = "a.b"
    put(pod, "spec.topologySpreadConstraints", [{"topologyKey": "kubernetes.io/hostname"}])
    name, selector = validation.warnings(registry.PODS, pod)
    assert "[must not contain dots]" in name
    assert selector.startswith("spec.topologySpreadConstraints[0].labelSelector: a null labelSelector")
