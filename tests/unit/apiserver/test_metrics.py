"""The API server's metrics: labels as kube-apiserver gives them, and none that a client makes up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from knarr.api.registry import CONFIGMAPS, NODES, PODS
from knarr.apimachinery.errors import StatusError
from knarr.apiserver import request_info
from knarr.apiserver.admission_chain import AdmissionChain, Latencies
from knarr.apiserver.metrics import Metrics
from knarr.apiserver.request import Request, Response


def counted(metrics: Metrics, method: str, path: str, status: int = 200, **more: Any) -> str:
    """The labels under which a request is counted."""
    query = more.pop("query", {})
    request = Request(method, path, query, more.pop("headers", {}), **more)
    request.query_lists = {name: [value] for name, value in query.items()}
    info = request_info.of(method, path, query)
    request.info = info
    metrics.request(info, request, Response(status, b"{}"), 0.01)
    lines = [
        line for line in metrics.registry.text().decode().splitlines() if line.startswith("apiserver_request_total")
    ]
    return lines[-1]


def labels(line: str) -> dict[str, str]:
    inside = line[line.index("{") + 1 : line.index("}")]
    return {name: value.strip('"') for name, value in (pair.split("=") for pair in inside.split(","))}


@pytest.mark.parametrize(
    ("method", "path", "resource", "verb", "scope"),
    [
        ("GET", "/api/v1/namespaces/a/configmaps/b", CONFIGMAPS, "GET", "resource"),
        ("GET", "/api/v1/namespaces/a/configmaps", CONFIGMAPS, "LIST", "namespace"),
        ("GET", "/api/v1/configmaps", CONFIGMAPS, "LIST", "cluster"),
        ("POST", "/api/v1/namespaces/a/configmaps", CONFIGMAPS, "POST", "resource"),
        ("PUT", "/api/v1/namespaces/a/configmaps/b", CONFIGMAPS, "PUT", "resource"),
        ("PATCH", "/api/v1/namespaces/a/configmaps/b", CONFIGMAPS, "PATCH", "resource"),
        ("DELETE", "/api/v1/namespaces/a/configmaps", CONFIGMAPS, "DELETECOLLECTION", "namespace"),
        ("POST", "/api/v1/namespaces/a/pods/b/exec", PODS, "CONNECT", "resource"),
        ("GET", "/api/v1/nodes/n/proxy/metrics", NODES, "CONNECT", "resource"),
    ],
)
def test_requests_have_kubernetes_labels(method: str, path: str, resource: Any, verb: str, scope: str) -> None:
    found = labels(counted(Metrics(), method, path, resource=resource))
    assert (found["verb"], found["scope"], found["resource"]) == (verb, scope, resource.plural)
    assert (found["component"], found["code"], found["dry_run"]) == ("apiserver", "200", "")


def test_an_apply_and_a_dry_run_are_told_apart() -> None:
    media = {"content-type": "application/apply-patch+yaml"}
    path = "/api/v1/namespaces/a/configmaps/b"
    line = counted(Metrics(), "PATCH", path, headers=media, query={"dryRun": "All"}, resource=CONFIGMAPS)
    assert (labels(line)["verb"], labels(line)["dry_run"]) == ("APPLY", "All")


def test_clients_do_not_make_up_labels() -> None:
    metrics = Metrics()
    for number in range(50):
        counted(metrics, "GET", f"/apis/x{number}.example.com/v1/things{number}", 404)
        counted(metrics, "GET", f"/healthz/{number}", 404)
        counted(metrics, "PUT", "/api/v1/namespaces/a/configmaps/b", 400, query={"dryRun": str(number)})
    text = metrics.registry.text().decode()
    assert len([line for line in text.splitlines() if line.startswith("apiserver_request_total")]) == 3


def test_health_is_told_by_its_path() -> None:
    assert labels(counted(Metrics(), "GET", "/readyz"))["subresource"] == "/readyz"


def test_deprecated_resources_that_are_asked_for() -> None:
    metrics = Metrics()
    counted(metrics, "GET", "/api/v1/endpoints", resource=CONFIGMAPS, warnings=["v1 Endpoints is deprecated in v1.33+"])
    assert 'apiserver_requested_deprecated_apis{group="",resource="endpoints"' in metrics.registry.text().decode()


class _Plugin:
    kinds = None

    def __init__(self, name: str, error: StatusError | None = None) -> None:
        self.name = name
        self._error = error

    def admit(self, _attributes: Any) -> None:
        if self._error is not None:
            raise self._error


class _Plugins:
    def __init__(self, *plugins: _Plugin) -> None:
        self._plugins = plugins

    def mutators(self, _key: Any) -> tuple[_Plugin, ...]:
        return self._plugins


class _Attributes:
    resource = PODS
    subresource = ""
    operation = "CREATE"


def test_admission_tells_who_took_how_long_and_who_refused() -> None:
    metrics = Metrics()
    plugins: Any = _Plugins(_Plugin("First"), _Plugin("Second", StatusError(403, "Forbidden", "no")), _Plugin("Third"))
    chain = AdmissionChain(plugins, Latencies(metrics.admission, metrics.admission_steps))
    attributes: Any = _Attributes()
    with pytest.raises(StatusError):
        asyncio.run(chain.admit(attributes))
    assert {key for key, row in metrics.admission.values.items() if any(row)} == {
        ("First", "CREATE", "false", "admit"),
        ("Second", "CREATE", "true", "admit"),
    }
    assert {key for key, row in metrics.admission_steps.values.items() if any(row)} == {("CREATE", "true", "admit")}
