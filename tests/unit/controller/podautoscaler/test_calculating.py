"""From use and targets to a number of pods: Kubernetes' own examples, and what holds for all."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller.podautoscaler import calculating
from knarr.controller.podautoscaler.calculating import Measured, MetricError, Scaled
from knarr.controller.podautoscaler.settings import Settings, Tolerances, tolerances

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
TENTH = Tolerances(0.1, 0.1)


def pod(name: str, *, ready: bool = True, phase: str = "Running", age: float = 3600, **more: Any) -> Object:
    since = timestamps.seconds(NOW - datetime.timedelta(seconds=age))
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since}
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
        "status": {"phase": phase, "startTime": since, "conditions": [condition]},
        **more,
    }


def scaled(pods: list[Object], replicas: int | None = None, allowed: Tolerances = TENTH) -> Scaled:
    size = len(pods) if replicas is None else replicas
    return Scaled(pods, size, size, allowed, Settings(), NOW)


def measured(*values: int) -> dict[str, Measured]:
    return {str(at): Measured(value, NOW, 60.0) for at, value in enumerate(values)}


def pods(count: int) -> list[Object]:
    return [pod(str(at)) for at in range(count)]


def test_use_above_and_below_the_target() -> None:
    up = calculating.by_utilization(scaled(pods(3)), measured(300, 500, 700), 30, "cpu")
    assert (up.replicas, up.utilization, up.usage) == (5, 50, 500)
    down = calculating.by_utilization(scaled(pods(5)), measured(100, 300, 500, 250, 250), 50, "cpu")
    assert (down.replicas, down.utilization) == (3, 28)
    near = calculating.by_utilization(scaled(pods(3)), measured(1010, 1030, 1020), 100, "cpu")
    assert near.replicas == 3, "within the tolerance"


def test_unready_pods_count_as_idle_when_more_are_wanted() -> None:
    some = [pod("0", ready=False, age=10), pod("1"), pod("2")]
    assert calculating.by_utilization(scaled(some), measured(300, 500, 700), 30, "cpu").replicas == 4
    none_left = [pod("0", ready=False, age=10), pod("1"), pod("2", ready=False, age=10)]
    assert calculating.by_utilization(scaled(none_left), measured(400, 500, 700), 30, "cpu").replicas == 3
    by_memory = calculating.by_average(scaled(some), measured(300, 500, 700), 300, "memory")
    assert by_memory.replicas == 5, "memory of a pod that is not ready is what it is"


def test_pods_that_tell_nothing_make_a_change_smaller() -> None:
    missing_down = calculating.by_utilization(scaled(pods(4)), measured(100, 300), 50, "cpu")
    assert missing_down.replicas == 4, "they are taken to use all they ask for"
    missing_up = calculating.by_utilization(scaled(pods(4)), measured(900, 900), 50, "cpu")
    assert missing_up.replicas == 4, "they are taken to use nothing"


def test_pods_that_fail_or_go_are_left_out() -> None:
    some = [*pods(2), pod("2", phase="Failed"), {**pod("3"), "metadata": {"name": "3", "deletionTimestamp": "x"}}]
    found = calculating.by_utilization(scaled(some, 2), measured(500, 700, 9000, 9000), 30, "cpu")
    assert found.replicas == 4


def test_a_starting_pod_counts_after_a_whole_window() -> None:
    settings = Settings()
    young = pod("0", age=100)
    assert calculating.grouped(scaled([young]), measured(5), "cpu").ready == 1
    fresh = {"0": Measured(5, NOW - datetime.timedelta(seconds=70), 60.0)}
    assert calculating.grouped(scaled([young]), fresh, "cpu").unready == {"0"}
    old = pod("0", ready=False, age=settings.cpu_initialization + 1)
    assert calculating.grouped(scaled([old]), measured(5), "cpu").unready == {"0"}, "it has never been ready"
    was_ready = pod("0", ready=False, age=settings.cpu_initialization + 100)
    was_ready["status"]["conditions"][0]["lastTransitionTime"] = timestamps.seconds(NOW)
    assert calculating.grouped(scaled([was_ready]), measured(5), "cpu").ready == 1


def test_a_container_that_asks_for_nothing_is_named() -> None:
    bare = pod("0")
    bare["spec"]["containers"].append({"name": "side"})
    with pytest.raises(MetricError, match="missing request for cpu in container side of Pod 0"):
        calculating.by_utilization(scaled([bare]), measured(5), 50, "cpu")
    assert calculating.by_utilization(scaled([bare]), measured(500), 50, "cpu", "c").replicas == 1
    bare["spec"]["resources"] = {"requests": {"cpu": "2"}}
    assert calculating.request(bare, "cpu") == 2000, "the pod says it itself"


def test_totals_and_shares() -> None:
    assert calculating.by_total(scaled(pods(3)), 20_000, 15_000).replicas == 4
    assert calculating.by_total(scaled(pods(3)), 15_500, 15_000).replicas == 3
    assert calculating.by_total(scaled([], 0), 20_000, 15_000).replicas == 2, "from none"
    assert calculating.by_share(scaled(pods(3)), 20_000, 5_000) == (4, 6667, None)
    assert calculating.by_share(scaled(pods(4)), 20_400, 5_000).replicas == 4


def test_nothing_to_count_is_said() -> None:
    with pytest.raises(MetricError, match="No pods returned by selector"):
        calculating.by_utilization(scaled([]), measured(5), 50, "cpu")
    with pytest.raises(MetricError, match="did not receive metrics for targeted pods"):
        calculating.by_utilization(scaled([pod("0", phase="Pending")]), measured(5), 50, "cpu")


def test_tolerances_may_be_given_for_each_way() -> None:
    assert tolerances({}, 0.1) == (0.1, 0.1)
    found = tolerances({"behavior": {"scaleUp": {"tolerance": "50m"}, "scaleDown": {}}}, 0.1)
    assert found == (0.1, 0.05) and found.allow(1.05) and not found.allow(1.06) and found.allow(0.9)


Values = st.lists(st.integers(0, 3000), min_size=1, max_size=12)


@given(Values, st.integers(1, 300))
def test_without_gaps_the_number_is_the_ratio_times_the_pods(values: list[int], percent: int) -> None:
    found = calculating.by_utilization(scaled(pods(len(values))), measured(*values), percent, "cpu")
    ratio = (sum(values) * 100 // (1000 * len(values))) / percent
    wanted = len(values) if 0.9 <= ratio <= 1.1 else math.ceil(ratio * len(values))
    assert found.replicas == wanted


@given(Values, st.integers(1, 300), st.data())
def test_gaps_never_turn_a_change_round_nor_make_it_larger(
    values: list[int], percent: int, data: st.DataObject
) -> None:
    count = len(values)
    everyone = pods(count)
    told = dict(data.draw(st.lists(st.sampled_from(list(measured(*values).items())), unique_by=lambda it: it[0])))
    if not told:
        return
    found = calculating.by_utilization(scaled(everyone), told, percent, "cpu").replicas
    sure = {name: told.get(name, Measured(0, NOW, 60.0)) for name in map(str, range(count))}
    ratio = (sum(one.value for one in told.values()) * 100 // (1000 * len(told))) / percent
    if ratio > 1:
        least = calculating.by_utilization(scaled(everyone), sure, percent, "cpu").replicas
        assert count <= found <= max(count, math.ceil(ratio * count))
        assert found >= min(count, least)
    else:
        assert math.floor(ratio * len(told)) <= found <= count or found == count
