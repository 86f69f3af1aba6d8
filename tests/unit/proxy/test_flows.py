"""Which UDP flows are forgotten."""

from __future__ import annotations

from knarr.proxy.flows import Destinations, Flow, stale

HERE, GONE = ("10.42.0.1", 53), ("10.42.0.2", 53)
SERVED = Destinations({("10.43.0.5", 53): frozenset({HERE})}, {30053: frozenset({HERE})})
CLIENT = ("10.42.0.9", 5000)


def test_flows_to_current_endpoints_stay() -> None:
    assert stale([Flow(CLIENT, ("10.43.0.5", 53), HERE), Flow(CLIENT, ("192.0.2.1", 30053), HERE)], SERVED) == []


def test_flows_to_endpoints_that_left_go() -> None:
    flows = [Flow(CLIENT, ("10.43.0.5", 53), GONE), Flow(CLIENT, ("192.0.2.1", 30053), GONE)]
    assert stale(flows, SERVED) == flows


def test_flows_from_before_the_first_endpoint_go() -> None:
    flow = Flow(CLIENT, ("10.43.0.5", 53), ("10.43.0.5", 53))
    assert stale([flow], SERVED) == [flow]


def test_foreign_flows_are_left_alone() -> None:
    foreign = ("192.0.2.8", 30053)
    assert stale([Flow(CLIENT, foreign, foreign), Flow(CLIENT, ("192.0.2.8", 99), GONE)], SERVED) == []
