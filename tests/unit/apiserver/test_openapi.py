"""OpenAPI as it is served: hashes, caching, encodings, forms."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import orjson

from knarr.api.registry import RESOURCES
from knarr.apiserver.aggregation.nobody import Nobody
from knarr.apiserver.openapi import OpenApi
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import ServedResources
from knarr.apiserver.watch_cache import WatchCache
from knarr.component_base.clock import FakeClock

POLICY = "/openapi/v3/apis/policy/v1"
OLD_FORM = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def served() -> OpenApi:
    served = ServedResources(WatchCache())
    served.add_all(resource for resource in RESOURCES if resource.group == "policy")
    return OpenApi(served, FakeClock(), Nobody())


async def answer(api: OpenApi, request: Request) -> Response | None:
    return await api(request)


def ask(api: OpenApi, path: str, headers: dict[str, str] | None = None, **query: str) -> Response:
    response = asyncio.run(answer(api, Request("GET", path, query, headers or {})))
    assert response is not None
    return response


def text(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return orjson.loads(response.body)


def test_the_index_names_groups_versions_and_roots() -> None:
    index = text(ask(served(), "/openapi/v3"))["paths"]
    assert list(index) == [
        ".well-known/openid-configuration", "api", "apis", "apis/policy", "apis/policy/v1", "openid/v1/jwks", "version"
    ]  # fmt: skip


def test_a_document_under_its_hash_may_be_kept_for_a_year() -> None:
    api = served()
    url = text(ask(api, "/openapi/v3"))["paths"]["apis/policy/v1"]["serverRelativeURL"]
    path, _, digest = url.partition("?hash=")
    response = ask(api, path, hash=digest)
    assert response.status == 200
    assert response.headers["ETag"] == f'"{digest}"'
    assert response.headers["Cache-Control"] == "public, immutable"
    assert response.headers["Expires"] == "Fri, 01 Jan 2027 00:00:00 GMT"
    assert "Cache-Control" not in (ask(api, path)).headers


def test_an_old_hash_leads_to_the_new_one() -> None:
    api = served()
    response = ask(api, POLICY, hash="OLD")
    assert response.status == 301
    assert response.headers["Location"] == text(ask(api, "/openapi/v3"))["paths"]["apis/policy/v1"]["serverRelativeURL"]


def test_who_has_it_gets_it_not_again() -> None:
    api = served()
    for path in ("/openapi/v2", "/openapi/v3", POLICY):
        etag = (ask(api, path)).headers["ETag"]
        again = ask(api, path, {"if-none-match": f'"other", {etag}'})
        assert (again.status, again.body) == (304, b"")


def test_compressed_for_those_who_can() -> None:
    api = served()
    plain, packed = ask(api, POLICY), ask(api, POLICY, {"accept-encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert isinstance(packed.body, bytes)
    assert gzip.decompress(packed.body) == plain.body


def test_the_first_form_that_is_known_is_served() -> None:
    api = served()
    accepted = f"{OLD_FORM},application/json"
    binary = ask(api, "/openapi/v2", {"accept": accepted})
    assert binary.content_type == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert isinstance(binary.body, bytes) and binary.body.startswith(b"\x0a\x032.0")
    assert json.loads((ask(api, "/openapi/v2", {"accept": "text/x,*/*"})).body)["swagger"] == "2.0"  # type: ignore[arg-type]


def test_other_forms_are_refused() -> None:
    for path in ("/openapi/v2", POLICY):
        assert (ask(served(), path, {"accept": "application/yaml"})).status == 406


def test_what_is_not_described_is_not_found() -> None:
    response = ask(served(), "/openapi/v3/apis/none.example.com/v1")
    assert (response.status, response.content_type) == (404, "")
