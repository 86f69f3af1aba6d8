"""Ranges of Service addresses that are added to a running cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.rest import Rest

pytestmark = pytest.mark.rootless
CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
NAME = "service-ranges"


@pytest.fixture
def rest(api_only: Cluster) -> Iterator[Rest]:
    made = Rest(api_only.kubeconfig)
    made.ok("POST", "/api/v1/namespaces", {"metadata": {"name": NAME}})
    yield made
    made("DELETE", f"/api/v1/namespaces/{NAME}")


def ready(rest: Rest) -> tuple[str, str]:
    conditions = (rest.ok("GET", f"{CIDRS}/{NAME}").get("status") or {}).get("conditions") or [{}]
    return conditions[0].get("status", ""), conditions[0].get("reason", "")


def test_a_range_gives_addresses_once_it_is_ready_and_stays_while_one_is_used(rest: Rest) -> None:
    services = f"/api/v1/namespaces/{NAME}/services"
    asked = {"metadata": {"name": "s"}, "spec": {"clusterIP": "10.99.7.9", "ports": [{"port": 80}]}}
    assert rest("POST", services, asked)[0] == 422
    rest.ok("POST", CIDRS, {"metadata": {"name": NAME}, "spec": {"cidrs": ["10.99.7.0/28"]}})
    until(lambda: ready(rest) == ("True", ""), "the range is ready")
    assert rest.ok("GET", f"{CIDRS}/{NAME}")["metadata"]["finalizers"] == ["networking.k8s.io/service-cidr-finalizer"]
    until(lambda: rest("POST", services, asked)[0] in (201, 409), "a Service has its address")
    address = "/apis/networking.k8s.io/v1/ipaddresses/10.99.7.9"
    until(lambda: rest("GET", address)[0] == 200, "its IPAddress is there")
    rest.ok("DELETE", f"{CIDRS}/{NAME}")
    until(lambda: ready(rest) == ("False", "Terminating"), "the range waits for its address")
    other = {"metadata": {"name": "t"}, "spec": {"clusterIP": "10.99.7.10", "ports": [{"port": 80}]}}
    assert rest("POST", services, other)[0] == 422
    rest.ok("DELETE", f"{services}/s")
    until(lambda: rest("GET", f"{CIDRS}/{NAME}")[0] == 404, "the range is gone")
