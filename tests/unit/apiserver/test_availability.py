"""When an APIService counts as available."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.apimachinery.types import Object
from knarr.apiserver.availability import judge


def api_service(**reference: Any) -> Object:
    return {"spec": {"service": {"namespace": "ns", "name": "agg", **reference}} if reference else {}}


def service(*ports: Object, **spec: Any) -> Object:
    return {"spec": {"type": "ClusterIP", "ports": list(ports), **spec}}


def endpoint_slice(ready: bool | None, port_name: str = "") -> Object:
    return {"endpoints": [{"conditions": {"ready": ready}}], "ports": [{"name": port_name, "port": 8443}]}


HTTPS: Object = {"port": 443, "name": "https"}


def test_what_this_server_has_itself_is_always_available() -> None:
    assert judge(api_service(), None, [])[:2] == ("True", "Local")


def test_a_service_that_does_not_exist() -> None:
    verdict = judge(api_service(port=443), None, [])
    assert verdict == ("False", "ServiceNotFound", 'service/agg in "ns" is not present')


@pytest.mark.parametrize(
    ("found", "slices", "reason"),
    [
        (service({"port": 80}), [], "ServicePortError"),
        (service(HTTPS), [], "EndpointsNotFound"),
        (service(HTTPS), [endpoint_slice(False, "https")], "MissingEndpoints"),
        (service(HTTPS), [endpoint_slice(True, "other")], "MissingEndpoints"),
        (service(HTTPS), [endpoint_slice(False, "https"), endpoint_slice(None, "https")], "FailedDiscoveryCheck"),
        (service(type="ExternalName"), [], "FailedDiscoveryCheck"),
    ],
)
def test_a_service_is_looked_at_from_port_to_endpoints(found: Object, slices: list[Object], reason: str) -> None:
    verdict = judge(api_service(port=443), found, slices)
    assert (verdict.status, verdict.reason) == ("False", reason)


def test_the_port_is_443_unless_told() -> None:
    assert judge(api_service(port=None), service(HTTPS), []).reason == "EndpointsNotFound"
    assert judge(api_service(port=8443), service(HTTPS), []).reason == "ServicePortError"
