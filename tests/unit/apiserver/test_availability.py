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
    verdict = judge(api_service(), None, [])
    assert verdict is not None and verdict[:2] == ("True", "Local")


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
    ],
)
def test_a_service_is_looked_at_from_port_to_endpoints(found: Object, slices: list[Object], reason: str) -> None:
    verdict = judge(api_service(port=443), found, slices)
    assert verdict is not None
    assert (verdict.status, verdict.reason) == ("False", reason)


def test_a_server_that_seems_to_be_there_is_asked() -> None:
    slices = [endpoint_slice(False, "https"), endpoint_slice(None, "https")]
    assert judge(api_service(port=443), service(HTTPS), slices) is None
    assert judge(api_service(port=443), service(type="ExternalName"), []) is None


def test_the_port_is_443_unless_told() -> None:
    for port, reason in ((None, "EndpointsNotFound"), (8443, "ServicePortError")):
        verdict = judge(api_service(port=port), service(HTTPS), [])
        assert verdict is not None and verdict.reason == reason
