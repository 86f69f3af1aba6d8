from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.services import ServiceHooks

CIDR = "10.96.0.0/27"


def _hooks() -> ServiceHooks:
    return ServiceHooks(CIDR, (30000, 30015))


def _service(**spec: Any) -> Object:
    return {"metadata": {"name": "s"}, "spec": {"type": "ClusterIP", "ports": [{"port": 80}], **spec}}


def test_a_plain_service_is_completed() -> None:
    service = _service()
    _hooks().begin_create(service, dry_run=False)(True)
    spec = service["spec"]
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


def test_headless_without_selector_may_have_endpoints_of_both_families() -> None:
    service = _service(clusterIP="None")
    _hooks().begin_create(service, dry_run=False)(True)
    assert service["spec"]["ipFamilies"] == ["IPv4", "IPv6"]
    assert service["spec"]["ipFamilyPolicy"] == "RequireDualStack"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"clusterIP": "10.0.0.1"}, "the provided IP (10.0.0.1) is not in the valid range"),
        ({"clusterIP": "fd00::1"}, "IPv6 is not configured on this cluster"),
        ({"ipFamilyPolicy": "RequireDualStack"}, "this cluster is not configured for dual-stack services"),
        ({"ipFamilies": ["IPv6"]}, "not configured on this cluster"),
        ({"type": "NodePort", "ports": [{"port": 1, "nodePort": 80}]}, "provided port is not in the valid range"),
    ],
)
def test_what_cannot_be_had_is_refused(spec: Object, text: str) -> None:
    with pytest.raises(StatusError) as caught:
        _hooks().begin_create(_service(**spec), dry_run=False)
    assert caught.value.code == 422
    assert text in caught.value.message


def test_a_port_over_two_protocols_has_one_node_port() -> None:
    ports = [{"name": "a", "port": 53, "protocol": "TCP"}, {"name": "b", "port": 53, "protocol": "UDP"}]
    service = _service(type="NodePort", ports=ports)
    _hooks().begin_create(service, dry_run=False)(True)
    assert len({port["nodePort"] for port in service["spec"]["ports"]}) == 1


def test_what_a_client_leaves_out_stays() -> None:
    hooks = _hooks()
    old = _service(type="NodePort")
    hooks.begin_create(old, dry_run=False)(True)
    new = _service(type="NodePort")
    hooks.begin_update(new, old, dry_run=False)(True)
    assert new["spec"] == old["spec"]


_TYPES = st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "headless"])
_STEPS = st.lists(st.tuples(st.integers(0, 7), _TYPES, st.booleans(), st.booleans()), max_size=40)


@settings(max_examples=60)
@given(_STEPS)
def test_numbers_are_held_by_those_services_that_have_them(steps: list[tuple[int, str, bool, bool]]) -> None:
    hooks, services = _hooks(), dict[int, Object]()
    for number, kind, deletes, succeeds in steps:
        if deletes:
            gone = services.pop(number, None)
            if gone is not None:
                hooks.after_delete(gone)
            continue
        extra = {"clusterIP": "None"} if kind == "headless" else {}
        service = _service(type="ClusterIP" if kind == "headless" else kind, **extra)
        if kind == "ExternalName":
            service["spec"]["externalName"] = "a.b"
        old = services.get(number)
        try:
            if old is None:
                finish = hooks.begin_create(service, dry_run=False)
            else:
                finish = hooks.begin_update(service, old, dry_run=False)
        except StatusError:
            continue
        finish(succeeds)
        if succeeds:
            services[number] = service
        again = ServiceHooks(CIDR, (30000, 30015))
        again.load(services.values())
        for mine, fresh in ((hooks.addresses, again.addresses), (hooks.ports, again.ports)):
            span = range(mine.first, mine.last + 1)
            assert [mine.is_used(item) for item in span] == [fresh.is_used(item) for item in span]
    addresses = [
        item["spec"]["clusterIP"]
        for item in services.values()
        if item["spec"]["type"] != "ExternalName" and item["spec"]["clusterIP"] != "None"
    ]
    assert len(set(addresses)) == len(addresses)


def _range(cidr: str, ready: str = "True", **meta: str) -> Object:
    return {"metadata": meta, "spec": {"cidrs": [cidr]}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def test_a_full_range_is_followed_by_those_that_were_added_and_are_ready() -> None:
    hooks = ServiceHooks("10.96.0.0/30", (30000, 30015))
    given = []
    added = [_range("10.97.0.0/30", "False"), _range("10.98.0.0/30", deletionTimestamp="x"), _range("10.99.0.0/30")]
    hooks.follow_ranges([*added, _range("fd00::/120")])
    for _ in range(4):
        service = _service()
        hooks.begin_create(service, dry_run=False)(True)
        given.append(service["spec"]["clusterIP"])
    assert set(given[:2]) == {"10.96.0.1", "10.96.0.2"}
    assert set(given[2:]) == {"10.99.0.1", "10.99.0.2"}
    with pytest.raises(StatusError, match="range is full"):
        hooks.begin_create(_service(), dry_run=False)
    hooks.follow_ranges([])
    with pytest.raises(StatusError, match="not in the valid range"):
        hooks.begin_create(_service(clusterIP="10.99.0.1"), dry_run=False)
