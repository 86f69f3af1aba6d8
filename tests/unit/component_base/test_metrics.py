"""Metrics: what is counted is what the text shows."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from knarr.component_base import process_metrics
from knarr.component_base.metrics import STABLE, About, Counter, Gauge, Histogram, Looked, Registry, exponential


def test_counters_and_gauges_show_their_samples() -> None:
    counter, gauge = Counter(About("a_total", "As.", ("x", "y"), STABLE)), Gauge(About("b", "Bs."))
    counter.add(("1", "2"))
    counter.add(("1", "2"), 2)
    gauge.set(1.5)
    assert Registry([counter, gauge]).text().decode() == (
        "# HELP a_total [STABLE] As.\n# TYPE a_total counter\n"
        'a_total{x="1",y="2"} 3\n'
        "# HELP b [ALPHA] Bs.\n# TYPE b gauge\nb 1.5\n"
    )


def test_what_was_never_counted_is_not_shown() -> None:
    assert (
        Registry([Counter(About("a", "")), Histogram(About("b", ""), (1,)), Looked(About("c", ""), list)]).text() == b""
    )


def test_label_values_are_escaped() -> None:
    counter = Counter(About("a", "", ("x",)))
    counter.add(('q"b\\n\n',))
    assert 'a{x="q\\"b\\\\n\\n"} 1' in list(counter.lines())


def test_a_family_can_leave() -> None:
    counter = Counter(About("a", ""), {(): 1})
    registry = Registry()
    registry.add(counter)
    registry.remove(counter)
    assert registry.text() == b""


@given(st.lists(st.floats(0, 100)))
def test_buckets_hold_every_value_up_to_their_bound(values: list[float]) -> None:
    histogram = Histogram(About("a", ""), (0.5, 1, 10))
    for value in values:
        histogram.observe(value)
    samples = dict(line.rsplit(" ", 1) for line in histogram.lines() if not line.startswith("#"))
    if not values:
        assert samples == {}
        return
    for bound in ("0.5", "1", "10"):
        assert int(samples[f'a_bucket{{le="{bound}"}}']) == sum(value <= float(bound) for value in values)
    assert int(samples['a_bucket{le="+Inf"}']) == int(samples["a_count"]) == len(values)
    assert abs(float(samples["a_sum"]) - sum(values)) <= 1e-9 * max(1.0, sum(values))


def test_exponential_buckets() -> None:
    assert exponential(1, 10, 4) == (1, 10, 100, 1000)


def test_a_process_tells_what_it_uses() -> None:
    text = Registry(process_metrics.families()).text().decode()
    samples = dict(line.split(" ") for line in text.splitlines() if not line.startswith("#"))
    assert float(samples["process_resident_memory_bytes"]) > 1_000_000
    assert float(samples["process_cpu_seconds_total"]) > 0
    assert int(samples["process_open_fds"]) <= int(samples["process_max_fds"])
    assert float(samples["process_start_time_seconds"]) <= time.time() + 1  # noqa: TID251 - the machine's own time
