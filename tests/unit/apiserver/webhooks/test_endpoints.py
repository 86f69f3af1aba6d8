"""Where webhooks are reached."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.apiserver.conftest import FakeReader

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.webhooks import endpoints
from knarr.apiserver.webhooks.endpoints import HostPort, ServicePort


def service(reader: FakeReader, **spec: Any) -> None:
    spec.setdefault("ports", [{"name": "https", "port": 443, "targetPort": 8443}])
    reader.add("services", {"metadata": {"name": "s", "namespace": "n"}, "spec": spec})


def endpoint_slice(
    reader: FakeReader, name: str, *addresses: str, ready: bool | None = True, port: str = "https"
) -> None:
    conditions = {} if ready is None else {"ready": ready}
    reader.add(
        "endpointslices",
        {
            "metadata": {"name": name, "namespace": "n", "labels": {"kubernetes.io/service-name": "s"}},
            "ports": [{"name": port, "port": 8443}],
            "endpoints": [{"addresses": [address], "conditions": conditions} for address in addresses],
        },
        "discovery.k8s.io",
    )


def all_of(reader: FakeReader, port: int = 443) -> list[HostPort]:
    found: list[HostPort] = []

    def choose(candidates: Any) -> HostPort:
        found.extend(candidates)
        return found[0]

    endpoints.resolve(reader, ServicePort("n", "s", port), choose)
    return found


def test_ready_endpoints_of_the_port_are_candidates(reader: FakeReader) -> None:
    service(reader)
    endpoint_slice(reader, "a", "10.0.0.1", "10.0.0.2")
    endpoint_slice(reader, "b", "10.0.0.3", ready=False)
    endpoint_slice(reader, "c", "10.0.0.4", ready=None)
    endpoint_slice(reader, "d", "10.0.0.5", port="other")
    assert all_of(reader) == [HostPort(f"10.0.0.{last}", 8443) for last in (1, 2, 4)]


def test_what_leads_nowhere_is_told_as_kubernetes_does(reader: FakeReader) -> None:
    cases: list[tuple[Any, str]] = [
        (None, 'service "s" not found'),
        ({"ports": [{"port": 80}]}, 'no service port 443 found for service "s"'),
        ({}, 'no endpoints available for service "s"'),
    ]
    for spec, text in cases:
        if spec is not None:
            service(reader, **spec)
        with pytest.raises(StatusError) as caught:
            all_of(reader)
        assert str(caught.value) == text
    service(reader, type="ExternalName", externalName="example.com")
    found = endpoints.resolve(reader, ServicePort("n", "s", 8443), lambda _: HostPort("", 0))
    assert found == HostPort("example.com", 8443)


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ({"service": {"name": "s", "namespace": "n"}}, "https://s.n.svc:443/"),
        ({"service": {"name": "s", "namespace": "n", "path": "/a/b/", "port": 1}}, "https://s.n.svc:1/a/b"),
        ({"url": "https://h:1"}, "https://h:1/"),
        ({"url": "https://h//a//../b"}, "https://h/b"),
    ],
)
def test_urls_are_shown_as_clients_of_kubernetes_show_them(config: Any, url: str) -> None:
    assert endpoints.url_of(config) == url


def test_a_configuration_without_both_is_no_use() -> None:
    with pytest.raises(ValueError, match="must have either service or URL"):
        endpoints.url_of({})
