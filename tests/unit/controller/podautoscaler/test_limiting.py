"""Holding a recommendation back."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery.types import Object
from knarr.controller.podautoscaler.limiting import Wish, limit, longest_period, longest_window
from knarr.controller.podautoscaler.memory import Recommendation, Rescale

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def ago(seconds: float) -> datetime.datetime:
    return NOW - datetime.timedelta(seconds=seconds)


def wish(replicas: int, current: int, **more: object) -> Wish:
    base = {"least": 1, "most": 100, "now": NOW, "window": 300.0}
    return Wish(replicas, current, **{**base, **more})  # type: ignore[arg-type]


def rules(*policies: tuple[str, int, int], **more: object) -> Object:
    listed = [{"type": kind, "value": value, "periodSeconds": period} for kind, value, period in policies]
    return {"policies": listed, "selectPolicy": "Max", "stabilizationWindowSeconds": 0, **more}


def test_without_a_behavior_a_target_doubles_at_most_and_shrinks_to_what_was_wanted_lately() -> None:
    assert limit(wish(50, 10), None)[0] == 20
    assert limit(wish(50, 10), None).limit[0] == "ScaleUpLimit"
    assert limit(wish(50, 1), None).replicas == 4
    assert limit(wish(50, 10, most=15), None)[2:] == (
        True,
        ("TooManyReplicas", "the desired replica count is more than the maximum replica count"),
    )
    recent = [Recommendation(ago(200), 7), Recommendation(ago(301), 9)]
    held = limit(wish(2, 8, recommendations=recent), None)
    assert held.replicas == 7 and held.able[0] == "ScaleDownStabilized" and not held.is_limited
    free = limit(wish(2, 8, recommendations=recent[1:]), None)
    assert free.replicas == 2 and free.able == ("ReadyForNewScale", "recommended size matches current size")
    assert limit(wish(0, 8, least=3), None).limit[0] == "TooFewReplicas"


def test_policies_bound_what_a_period_changes() -> None:
    both = {"scaleUp": rules(("Pods", 4, 60), ("Percent", 100, 60)), "scaleDown": rules(("Percent", 10, 60))}
    assert limit(wish(90, 3), both).replicas == 7
    assert limit(wish(90, 10), both).replicas == 20
    lately = [Rescale(ago(30), 5, 10), Rescale(ago(61), 1, 5)]
    assert limit(wish(90, 10, rescales=lately), both).replicas == 10, "as many as were five a minute ago"
    assert limit(wish(1, 20), both) == (
        18,
        ("ReadyForNewScale", "recommended size matches current size"),
        True,
        ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"),
    )
    least = {**both, "scaleUp": {**both["scaleUp"], "selectPolicy": "Min"}}
    assert limit(wish(90, 10), least).replicas == 14
    never = {"scaleUp": rules(selectPolicy="Disabled"), "scaleDown": rules(selectPolicy="Disabled")}
    assert (limit(wish(90, 10), never).replicas, limit(wish(1, 10), never).replicas) == (10, 10)


def test_windows_hold_back_both_ways() -> None:
    slow = {"scaleUp": rules(("Pods", 50, 60), stabilizationWindowSeconds=60), "scaleDown": rules(("Pods", 50, 60))}
    recent = [Recommendation(ago(30), 12)]
    held = limit(wish(40, 10, recommendations=recent), slow)
    assert held.replicas == 12 and held.able[0] == "ScaleUpStabilized"
    usual = {"scaleUp": rules(("Pods", 50, 60)), "scaleDown": {**rules(("Pods", 50, 60))}}
    del usual["scaleDown"]["stabilizationWindowSeconds"]
    assert limit(wish(2, 10, recommendations=[Recommendation(ago(299), 9)]), usual).replicas == 9
    assert longest_window(300.0, slow).total_seconds() == 300
    assert longest_period(slow).total_seconds() == 60 and not longest_period(None)


Size = st.integers(1, 60)
Policy = st.tuples(st.sampled_from(["Pods", "Percent"]), st.integers(1, 200), st.integers(1, 600))
Rules = st.builds(
    lambda policies, choice, window: rules(*policies, selectPolicy=choice, stabilizationWindowSeconds=window),
    st.lists(Policy, min_size=1, max_size=3),
    st.sampled_from(["Max", "Min", "Disabled"]),
    st.integers(0, 600),
)
Behavior = st.one_of(st.none(), st.fixed_dictionaries({"scaleUp": Rules, "scaleDown": Rules}))
History = st.lists(st.tuples(st.floats(0, 700), Size), max_size=8)


@given(st.integers(0, 200), Size, Size, Size, Behavior, History)
def test_a_size_stays_within_bounds_and_never_goes_against_the_wish(
    wanted: int, current: int, one: int, other: int, behavior: Object | None, history: list[tuple[float, int]]
) -> None:
    least, most = min(one, other, current), max(one, other, current)
    lately = [Recommendation(ago(seconds), size) for seconds, size in history]
    found = limit(wish(wanted, current, least=least, most=most, recommendations=lately), behavior)
    assert least <= found.replicas <= most
    if behavior is not None:
        assert min(wanted, current) <= found.replicas <= max(wanted, current) or found.replicas in (least, most)
    assert found.is_limited == (found.limit[0] != "DesiredWithinRange")
