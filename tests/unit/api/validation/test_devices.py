"""Dynamic resources: claims, their status, and slices of devices."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api import registry, validation
from knarr.apimachinery.types import Object

_CLAIM = registry.resource("resourceclaims", "resource.k8s.io")
_SLICE = registry.resource("resourceslices", "resource.k8s.io")
_META = {"name": "a", "namespace": "ns", "resourceVersion": "1"}
_RESULT = {"request": "r", "driver": "gpu.example.com", "pool": "p", "device": "d"}


def _claim(**status: Any) -> Object:
    exact = {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1}
    spec = {"devices": {"requests": [{"name": "r", "exactly": exact}]}}
    return {"metadata": _META, "spec": spec, "status": status}


def _status_errors(new: Object, old: Object) -> list[str]:
    return [str(error) for error in validation.validate_update(_CLAIM, new, old, "status")]


def test_a_claim_is_reserved_only_when_allocated() -> None:
    reserved = _claim(reservedFor=[{"resource": "pods", "name": "p", "uid": "u"}])
    wrong = "status.reservedFor: Forbidden: may not be specified when `allocated` is not set"
    assert _status_errors(reserved, _claim()) == [wrong]


def test_results_name_requests_of_the_claim_and_drivers_report_only_their_devices() -> None:
    allocation = {"devices": {"results": [_RESULT, {**_RESULT, "request": "x"}]}}
    device = {"driver": "gpu.example.com", "pool": "p", "device": "other"}
    found = _status_errors(_claim(allocation=allocation, devices=[device]), _claim())
    assert found[0] == (
        "status.devices[0]: Invalid value: gpu.example.com/p/other: must be an allocated device in the claim"
    )
    assert found[1].startswith('status.allocation.devices.results[1].request: Invalid value: "x": must be the name of')


def _slice(device: Object) -> Object:
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": "gpu.example.com", "pool": pool, "allNodes": True, "devices": [{"name": "d", **device}]}
    return {"metadata": {"name": "s", "resourceVersion": "1"}, "spec": spec}


@pytest.mark.parametrize(
    ("policy", "wrong"),
    [
        ({"validValues": ["2Gi", "1Gi"], "default": "1Gi"}, ["validValues[1]"]),
        ({"validRange": {"min": "1Gi", "step": "3Gi"}, "default": "2Gi"}, ["validRange.step"]),
        ({"validRange": {"min": "20Gi"}, "default": "1Gi"}, ["validRange.min", "validRange.default"]),
        ({"validValues": ["1Gi"]}, ["default"]),
    ],
)
def test_a_policy_of_shared_capacity_fits_the_capacity(policy: Object, wrong: list[str]) -> None:
    capacity = {"memory": {"value": "8Gi", "requestPolicy": policy}}
    found = validation.validate_create(_SLICE, _slice({"allowMultipleAllocations": True, "capacity": capacity}))
    head = "spec.devices[0].capacity[memory].requestPolicy."
    assert [error.field.removeprefix(head) for error in found] == wrong
    found = validation.validate_create(_SLICE, _slice({"capacity": capacity}))
    assert [error.detail for error in found] == ["allowMultipleAllocations must be true"]
