from __future__ import annotations

import pytest

from knarr.apiserver import request_info
from knarr.apiserver.request import RequestInfo


def _short(info: RequestInfo) -> tuple[str, ...]:
    return (info.verb, info.group, info.version, info.namespace, info.resource, info.name, info.subresource)


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "/api/v1/namespaces", ("list", "", "v1", "", "namespaces", "", "")),
        ("GET", "/api/v1/namespaces/a", ("get", "", "v1", "a", "namespaces", "a", "")),
        ("PUT", "/api/v1/namespaces/a/finalize", ("update", "", "v1", "a", "namespaces", "a", "finalize")),
        ("GET", "/api/v1/namespaces/a/status", ("get", "", "v1", "a", "namespaces", "a", "status")),
        ("GET", "/api/v1/namespaces/a/pods", ("list", "", "v1", "a", "pods", "", "")),
        ("GET", "/api/v1/namespaces/a/pods/p/log", ("get", "", "v1", "a", "pods", "p", "log")),
        ("POST", "/apis/apps/v1/namespaces/a/deployments", ("create", "apps", "v1", "a", "deployments", "", "")),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/d", ("patch", "apps", "v1", "a", "deployments", "d", "")),
        ("DELETE", "/api/v1/nodes/n", ("delete", "", "v1", "", "nodes", "n", "")),
        ("DELETE", "/api/v1/nodes", ("deletecollection", "", "v1", "", "nodes", "", "")),
        ("GET", "/api/v1/watch/namespaces/a/pods", ("watch", "", "v1", "a", "pods", "", "")),
        ("GET", "/api/v1/watch/namespaces/a/pods/p", ("watch", "", "v1", "a", "pods", "p", "")),
    ],
)
def test_paths_of_resources(method: str, path: str, wanted: tuple[str, ...]) -> None:
    info = request_info.of(method, path, {})
    assert info.is_resource
    assert _short(info) == wanted


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/api/v1/"]
)
def test_other_paths_are_named_by_their_method(path: str) -> None:
    info = request_info.of("GET", path, {})
    assert not info.is_resource
    assert (info.verb, info.path) == ("get", path)


def test_a_watch_of_an_object_is_a_get() -> None:
    assert request_info.of("GET", "/api/v1/namespaces/a/pods/p", {"watch": "1"}).verb == "get"


@pytest.mark.parametrize(("text", "verb"), [("1", "watch"), ("maybe", "watch"), ("0", "list"), ("False", "list")])
def test_watch_is_on_unless_it_is_off(text: str, verb: str) -> None:
    assert request_info.of("GET", "/api/v1/pods", {"watch": text}).verb == verb


def test_a_selected_name_is_what_the_request_is_about() -> None:
    info = request_info.of("GET", "/api/v1/namespaces/a/secrets", {"fieldSelector": "metadata.name=s"})
    assert (info.verb, info.name, info.field_selector) == ("list", "s", "metadata.name=s")


def test_what_lies_behind_a_proxy_is_kept() -> None:
    info = request_info.of("GET", "/api/v1/namespaces/a/services/s/proxy/x/y/", {})
    assert (info.subresource, info.rest) == ("proxy", "x/y/")
