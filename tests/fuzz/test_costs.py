"""Requests of a size the server accepts, made to be expensive: each takes a few seconds of CPU at most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.fuzz import seeds
from tests.fuzz.cases import dumped
from tests.fuzz.server import Server

from knarr.component_base.http import Request
from knarr.component_base.http_format import parse_query

COUNT = 15_000
HOME = f"/api/v1/namespaces/{seeds.NAMESPACE}"
JSON, YAML = "application/json", "application/yaml"
JSON_PATCH, STRATEGIC = "application/json-patch+json", "application/strategic-merge-patch+json"
NAMES = [f"k{number}" for number in range(COUNT)]


def _map(**metadata: Any) -> bytes:
    return dumped({"metadata": {"name": "x", **metadata}})


def _pod(**parts: Any) -> bytes:
    return dumped({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "i", **parts}]}})


_MOVES = [
    {"op": "move", "from": "/data/k1", "path": "/data/k2"},
    {"op": "move", "from": "/data/k2", "path": "/data/k1"},
]
_OWNERS = [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name} for name in NAMES]
_PORTS = [{"containerPort": 80, "hostPort": number + 1} for number in range(COUNT)]
_ENV = [{"name": name, "value": "v"} for name in NAMES]
_MERGE = {"spec": {"containers": [{"name": "c", "env": _ENV}]}}
_BOMB = b"a: &a [1,1,1,1,1,1,1,1,1]\n" + b"".join(
    b"%c: &%c [%b]\n" % (letter, letter, b",".join([b"*%c" % (letter - 1)] * 9)) for letter in range(98, 110)
)
CASES: dict[str, tuple[str, str, str, bytes, str]] = {
    "moves": ("PATCH", f"{HOME}/configmaps/large", JSON_PATCH, dumped(_MOVES * 5000), ""),
    "owners": ("POST", f"{HOME}/configmaps", JSON, _map(ownerReferences=_OWNERS), ""),
    "labels": ("POST", f"{HOME}/configmaps", JSON, _map(labels=dict.fromkeys(NAMES, "v")), ""),
    "finalizers": ("POST", f"{HOME}/configmaps", JSON, _map(finalizers=[f"a.b/{name}" for name in NAMES]), ""),
    "ports": ("POST", f"{HOME}/pods", JSON, _pod(ports=_PORTS), ""),
    "one port": ("POST", f"{HOME}/pods", JSON, _pod(ports=[{"containerPort": 80}] * COUNT), ""),
    "environment": ("POST", f"{HOME}/pods", JSON, _pod(env=_ENV), ""),
    "merge": (
        "PATCH",
        f"{HOME}/pods/pod",
        STRATEGIC,
        dumped({"spec": {"containers": [{"name": "c", "env": _ENV}]}}),
        "",
    ),
    "requirements": ("GET", f"{HOME}/pods", "", b"", "labelSelector=" + "%2C".join(f"{name}!=v" for name in NAMES)),
    "fields": (
        "GET",
        f"{HOME}/pods",
        "",
        b"",
        "fieldSelector=" + "%2C".join(f"metadata.name!={n}" for n in NAMES),
    ),
    "aliases": ("POST", f"{HOME}/configmaps", YAML, _BOMB, ""),
    "escapes": ("POST", f"{HOME}/configmaps", JSON, b'{"a":"' + b"\\n" * 1_400_000 + b'",}', ""),
    "commas": ("POST", f"{HOME}/configmaps", JSON, b"[" + b"1," * 1_400_000 + b"x]", ""),
    "depth": ("POST", f"{HOME}/configmaps", JSON, b"[" * 2_900_000, ""),
    "digits": ("POST", f"{HOME}/configmaps", JSON, b'{"a":' + b"9" * 2_900_000 + b"}", ""),
    "repeats": ("POST", f"{HOME}/configmaps", JSON, b'{"data":{' + b'"a":"1",' * 200_000 + b'"b":"2"}}', ""),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    body = dumped({"metadata": {"name": "large"}, "data": dict.fromkeys(NAMES, "v")})
    assert server.run(server.ask(Request("POST", f"{HOME}/configmaps", {}, {}, body))).status == 201
    yield server
    server.close()


@pytest.mark.parametrize("name", CASES)
def test_no_request_costs_more_than_a_few_seconds(name: str, server: Server) -> None:
    method, path, media, body, query = CASES[name]
    query = "&".join(part for part in (query, "dryRun=All" if method != "GET" else "") if part)
    request = Request(method, path, {}, {"content-type": media, "accept": JSON}, body, raw_query=query)
    parse_query(request)
    server.run(server.check(request))
