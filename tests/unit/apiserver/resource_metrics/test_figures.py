"""From a kubelet's text to what nodes and pods use."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apiserver.resource_metrics import objects, samples
from knarr.apiserver.resource_metrics.history import History, Use, use
from knarr.apiserver.resource_metrics.samples import Point, Scrape

TEXT = """\
# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="web",namespace="a",pod="one"} 4.5 1700000000500
container_cpu_usage_seconds_total{container="side",namespace="a",pod="one"} 1 1700000000500
container_cpu_usage_seconds_total{container="web",namespace="a",pod="two"} 3 1700000000500
container_memory_working_set_bytes{container="web",namespace="a",pod="one"} 1.048576e+06 1700000000500
container_memory_working_set_bytes{container="side",namespace="a",pod="one"} 4096 1700000000500
container_start_time_seconds{container="web",namespace="a",pod="one"} 1.6999e+09
node_cpu_usage_seconds_total 350 1700000000500
node_memory_working_set_bytes 1e+09 1700000000500
pod_cpu_usage_seconds_total{namespace="a",pod="one"} 5.5 1700000000500
resource_scrape_error 0
"""
POD = ("a", "one")


def scrape(time: float, cpu: float, started: float = 0.0, name: str = "web") -> Scrape:
    return Scrape(Point(time, cpu, 10), {POD: {name: Point(time, cpu, 10, started)}})


def test_a_text_gives_points_and_drops_a_pod_that_lacks_a_figure() -> None:
    found = samples.parse(TEXT, 0.0)
    assert found.node == Point(1700000000.5, 350.0, 10**9)
    assert found.pods == {
        POD: {
            "web": Point(1700000000.5, 4.5, 1048576, 1.6999e9),
            "side": Point(1700000000.5, 1.0, 4096),
        }
    }
    assert samples.parse(TEXT.replace(" 1700000000500", ""), 7.0).node == Point(7.0, 350.0, 10**9)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", "0"])
def test_a_figure_that_is_no_amount_is_missing(value: str) -> None:
    found = samples.parse(TEXT.replace("350", value).replace("} 4.5", f"}} {value}"), 0.0)
    assert found.node is None and POD not in found.pods


def test_what_is_no_exposition_is_said_to_be_none() -> None:
    for text in ("<html>", "a{b", "node_cpu_usage_seconds_total many"):
        with pytest.raises(ValueError, match="."):
            samples.parse(text, 0.0)


def test_use_follows_from_the_two_newest_points() -> None:
    history = History(15.0)
    assert history.is_fresh
    history.store("n", scrape(100.0, 10.0))
    assert history.is_fresh and history.of_node("n") is None and history.of_pod(POD, "n") is None
    history.store("n", scrape(110.0, 15.0))
    assert not history.is_fresh
    assert history.of_node("n") == Use(110.0, 10.0, 500_000_000, 10)
    assert history.of_pod(POD, "n") == {"web": Use(110.0, 10.0, 500_000_000, 10)}
    history.store("n", scrape(110.0, 15.0))
    assert history.of_pod(POD, "n") == {"web": Use(110.0, 10.0, 500_000_000, 10)}, (
        "the same answer again tells nothing new"
    )
    history.store("n", scrape(120.0, 25.0))
    assert history.of_pod(POD, "n") == {"web": Use(120.0, 10.0, 1_000_000_000, 10)}


def test_a_restarted_container_is_not_compared_with_the_one_before() -> None:
    history = History(15.0)
    history.store("n", scrape(100.0, 10.0, started=1.0))
    history.store("n", scrape(110.0, 12.0, started=1.0))
    history.store("n", scrape(125.0, 0.5, started=119.0))
    assert history.of_pod(POD, "n") is None
    history.store("n", scrape(140.0, 3.5, started=119.0))
    assert history.of_pod(POD, "n") == {"web": Use(140.0, 15.0, 200_000_000, 10)}


def test_a_fresh_container_is_counted_from_its_start() -> None:
    history = History(15.0)
    history.store("n", scrape(100.0, 6.0, started=88.0))
    assert history.of_pod(POD, "n") == {"web": Use(100.0, 12.0, 500_000_000, 10)}


def test_what_is_gone_is_forgotten() -> None:
    history = History(15.0)
    for time in (100.0, 110.0):
        history.store("n", scrape(time, time))
    history.store("n", Scrape(Point(120.0, 120.0, 10), {}))
    assert history.of_pod(POD, "n") is None and history.of_node("n") is not None
    for time in (130.0, 140.0):
        history.store("n", scrape(time, time))
        history.store("m", scrape(time + 1, time))
    history.forget("n")
    assert history.nodes == {"m"}
    assert history.of_pod(POD, "n") is None and history.of_pod(POD, "m") is not None


@given(st.lists(st.tuples(st.floats(0.001, 60), st.floats(0, 240)), min_size=2, max_size=20))
def test_use_never_exceeds_what_was_counted(steps: list[tuple[float, float]]) -> None:
    history, time, cpu = History(15.0), 1e9, 1.0
    for passed, used in steps:
        time, cpu = time + passed, cpu + used
        history.store("n", scrape(time, cpu))
    found = history.of_node("n")
    passed, used = steps[-1]
    assert found is not None
    assert found.nano_cores == pytest.approx(used / passed * 1e9, rel=1e-3, abs=1e3)


def test_a_counter_that_goes_back_gives_nothing() -> None:
    assert use(Point(2.0, 1.0, 1), Point(1.0, 5.0, 1)) is None
    assert use(Point(2.0, 1.0, 1), Point(2.0, 1.0, 1)) is None


def test_objects_and_tables() -> None:
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    uses = {"web": Use(60.5, 15.02, 1_500_000, 2048), "side": Use(58.0, 14.0, 500_000, 1000)}
    pod = objects.pod(POD, {"app": "a"}, uses, now)
    assert pod["timestamp"] == "1970-01-01T00:00:58Z" and pod["window"] == "14s"
    assert pod["containers"][1] == {"name": "web", "usage": {"cpu": "1500u", "memory": "2Ki"}}
    table = objects.table([pod], "", objects.POD)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "cpu", "memory", "Window"]
    assert table["rows"][0]["cells"] == ["one", "2m", "3048", "14s"]
    assert table["rows"][0]["object"]["metadata"]["labels"] == {"app": "a"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(15.0204, "15.02s"), (0.25, "250ms"), (0.0, "0s"), (60.0, "1m0s"), (3661.5, "1h1m1.5s"), (59.9999, "1m0s")],
)
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert objects.duration(seconds) == text
