"""What a strategic merge patch made, read as Go reads maps into structs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api import codec


def deployment(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def restored(obj: dict[str, Any]) -> Any:
    return codec.restore("apps/v1", "Deployment", obj)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"replicas": "three"}, "unrecognized type: int32"),
        ({"replicas": 1.5}, "cannot convert float64 to int32"),
        ({"paused": "yes"}, "unrecognized type: bool"),
        ({"strategy": {"type": 3}}, "cannot convert int64 to v1.DeploymentStrategyType"),
        ({"strategy": {"type": True}}, "unrecognized type: string"),
        ({"selector": "a=b"}, "cannot restore struct from: string"),
        ({"selector": {"matchLabels": ["a"]}}, "cannot restore map from slice"),
        ({"template": {"spec": {"containers": {"name": "c"}}}}, "cannot restore slice from map"),
    ],
)
def test_says_of_a_wrong_value_what_the_converter_says(spec: dict[str, Any], fault: str) -> None:
    with pytest.raises(codec.DecodeError) as error:
        restored(deployment(**spec))
    assert error.value.cause == fault


def test_the_first_fault_is_that_of_the_first_declared_field() -> None:
    with pytest.raises(codec.DecodeError, match="int32"):
        restored(deployment(paused="x", replicas="y"))


@given(st.integers(-(1 << 31), (1 << 31) - 1))
def test_a_whole_float_is_an_integer(number: int) -> None:
    assert restored(deployment(replicas=float(number)))["spec"]["replicas"] == number


def test_an_integer_that_does_not_fit_loses_its_upper_bits() -> None:
    assert restored(deployment(replicas=(1 << 32) + 7))["spec"]["replicas"] == 7
    assert restored(deployment(replicas=1 << 31))["spec"]["replicas"] == -(1 << 31)


def test_unknown_members_stay_for_strict_decoding() -> None:
    assert restored(deployment(bogus=1))["spec"] == {"bogus": 1}
