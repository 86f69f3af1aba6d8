"""The proxy's state: whatever order objects come in, the ruleset is that of what is there."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from knarr.proxy.ruleset import CLUSTER_IPS, SERVICE_IPS, Layout
from knarr.proxy.services import Place
from knarr.proxy.state import ZONE_LABEL, State

LAYOUT = Layout("10.42.0.0/16", "10.43.0.0/16", ("10.43.0.10",))


def service(name: str, number: int = 1, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "web", "port": 80, "protocol": "TCP"}]
    return {
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {"clusterIP": f"10.43.1.{number}", "ports": ports, **spec},
    }


def endpoint_slice(name: str, owner: str, *addresses: str, zone: str = "") -> dict[str, Any]:
    hints = {"hints": {"forZones": [{"name": zone}]}} if zone else {}
    return {
        "metadata": {"name": name, "namespace": "ns", "labels": {"kubernetes.io/service-name": owner}},
        "addressType": "IPv4",
        "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [one], "conditions": {"ready": True}, **hints} for one in addresses],
    }


_names = st.sampled_from(["a", "b", "c"])
_services = st.tuples(
    st.just("service"), _names, st.none() | st.integers(1, 3).map(lambda number: {"clusterIP": f"10.43.1.{number}"})
)
_slices = st.tuples(
    st.just("slice"), _names, st.none() | st.tuples(_names, st.lists(st.sampled_from(["10.42.0.1", "10.42.0.2"])))
)


def _made(what: str, name: str, content: Any) -> dict[str, Any] | None:
    if content is None:
        return None
    return service(name, **content) if what == "service" else endpoint_slice(name, content[0], *content[1])


@given(st.lists(st.tuples(_services | _slices, st.booleans()), max_size=25))
def test_the_ruleset_is_that_of_the_objects_there_are(steps: list[tuple[tuple[str, str, Any], bool]]) -> None:
    state, objects = State(Place("n1"), LAYOUT), dict[tuple[str, str], dict[str, Any]]()
    for (what, name, content), look in steps:
        old, new = objects.get((what, name)), _made(what, name, content)
        if old is None and new is None:
            continue
        (state.on_service if what == "service" else state.on_slice)(old, new)
        if new is None:
            objects.pop((what, name), None)
        else:
            objects[(what, name)] = new
        if look:
            state.take()
            assert not state.changed
    fresh = State(Place("n1"), LAYOUT)
    for (what, _), obj in objects.items():
        (fresh.on_service if what == "service" else fresh.on_slice)(None, obj)
    assert state.take() == fresh.take()


def test_what_the_ruleset_does_not_depend_on_changes_nothing() -> None:
    state = State(Place("n1"), LAYOUT)
    state.on_service(None, service("a"))
    state.take()
    state.on_service(service("a"), {**service("a"), "status": {"loadBalancer": {}, "conditions": []}} | {"status": {}})
    state.on_service(None, service("headless", clusterIP="None"))
    assert not state.changed


def test_a_node_that_learns_its_zone_prefers_near_endpoints() -> None:
    state = State(Place("n1"), LAYOUT)
    state.on_service(None, service("a"))
    state.on_slice(None, endpoint_slice("a-1", "a", "10.42.0.1", zone="east"))
    state.on_slice(None, endpoint_slice("a-2", "a", "10.42.0.2", zone="west"))
    both, _ = state.take()
    assert both.elements[SERVICE_IPS]["10.43.1.1 . tcp . 80"] == "goto cluster-tcp-2"
    state.on_node(None, {"metadata": {"name": "n1", "labels": {ZONE_LABEL: "west"}}})
    assert state.changed
    near, _ = state.take()
    assert near.elements[SERVICE_IPS]["10.43.1.1 . tcp . 80"] == "goto cluster-tcp-1"
    assert list(near.elements[CLUSTER_IPS]) == ["10.43.1.1"]
