"""Requests that are wrong in every way end in a clear answer: never a bug, a hang or a change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import strategies as st
from tests.fuzz import seeds
from tests.fuzz.cases import ODD_JSON, ODD_TEXTS, ODD_YAML, altered, dumped, fuzz, mutated, texts, values
from tests.fuzz.server import Server

from knarr.component_base.http import Request
from knarr.component_base.http_format import parse_query

_shared: list[Server] = []
JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
PATCHES = {
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
}
ACCEPTS = (
    "",
    "*/*",
    JSON,
    YAML,
    PROTOBUF,
    f"{JSON};as=Table;v=v1;g=meta.k8s.io",
    "text/html",
    ";;;",
    "a/b;q=x",
    f"{JSON};q=0",
    f"{JSON};as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    f"{JSON};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "*/*;" * 400,
    "," * 3000,
)
PARAMETERS = (
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "watch",
    "timeoutSeconds",
    "allowWatchBookmarks",
    "sendInitialEvents",
    "labelSelector",
    "fieldSelector",
    "pretty",
    "includeObject",
    "dryRun",
    "fieldManager",
    "force",
    "fieldValidation",
    "gracePeriodSeconds",
    "propagationPolicy",
    "orphanDependents",
    "timeout",
    "tailLines",
    "container",
    "sinceSeconds",
    "preconditions",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
)
PLAIN_PATHS = (
    "/",
    "//",
    "",
    "/api",
    "/api/",
    "/apis",
    "/apis/apps",
    "/apis/apps/v1",
    "/apis/bogus/v1",
    "/healthz",
    "/readyz/etcd",
    "/livez?verbose",
    "/version",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/apis/apps/v1",
    "/api/v1/watch",
    "/api/v1/watch/pods",
    "/api/v1/proxy/x",
    "/api/v1/namespaces/fuzz/pods/../pods",
    "/api/v1/namespaces//pods",
    "/.well-known",
    "/.well-known/openid-configuration",
    "/openid/v1/jwks",
    "/api/v1/namespaces/\0/pods",
    "/api/v1/componentstatuses/x",
    "/apis/apps/v1/deployments",
    "/api/v1/pods",
    "/apis/events.k8s.io/v1/namespaces/fuzz/events",
    "/api/v1/bindings",
    "/apis/autoscaling/v1/namespaces/fuzz/horizontalpodautoscalers/hpa",
    "/logs",
    "/debug/pprof/profile",
    "/statusz",
    "/flagz",
)


@pytest.fixture(autouse=True, scope="module")
def server() -> Iterator[None]:
    _shared.append(Server())
    yield
    _shared.pop().close()


def check(request: Request) -> None:
    if request.raw_query:
        parse_query(request)
    server = _shared[-1]
    server.run(server.check(request))


def quoted(text: str) -> str:
    return "".join(
        char if char.isalnum() else "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "replace")) for char in text
    )


parameters = st.tuples(st.sampled_from(PARAMETERS), texts.map(quoted)).map("=".join)
queries = st.lists(parameters, max_size=3).map("&".join)
collections = st.sampled_from([path for path, _ in seeds.OBJECTS])
objects = st.sampled_from(seeds.PATHS)
with_parts = st.tuples(objects, st.sampled_from(seeds.SUBRESOURCES)).map("/".join)
with_names = st.tuples(collections, st.sampled_from(ODD_TEXTS)).map("/".join)
paths = st.one_of(
    objects, collections, with_parts, with_names, st.sampled_from(PLAIN_PATHS), st.text(max_size=20).map("/".__add__)
)
accepts = st.one_of(st.just(JSON), st.sampled_from(ACCEPTS))
seeded = st.sampled_from([*seeds.OBJECTS, *seeds.REVIEWS])


@st.composite
def bodies(draw: st.DrawFn, original: Any) -> tuple[str, bytes]:
    """A content type and a body."""
    how = draw(st.integers(0, 9))
    if how < 5:
        return JSON, dumped(draw(altered(original)))
    if how == 5:
        return JSON, draw(mutated(st.just(dumped(original))))
    if how == 6:
        return JSON, draw(st.sampled_from(ODD_JSON))
    if how == 7:
        return YAML, draw(st.one_of(st.sampled_from(ODD_YAML), mutated(st.just(dumped(original)))))
    if how == 8:
        return PROTOBUF, draw(mutated(st.binary(max_size=40).map(b"k8s\0".__add__)))
    return draw(texts.map(lambda text: text.encode("latin-1", "replace").decode("latin-1"))), draw(
        st.binary(max_size=40)
    )


@fuzz(
    125,
    12_000,
    method=st.sampled_from(["GET", "GET", "HEAD", "OPTIONS", "TRACE", "BOGUS", "CONNECT", ""]),
    path=paths,
    query=queries,
    accept=accepts,
)
def test_reads(method: str, path: str, query: str, accept: str) -> None:
    if "watch" in path or "watch" in query or "follow" in query:
        query += "&timeoutSeconds=1"
    check(Request(method, path, {}, {"accept": accept}, raw_query=query))


@st.composite
def writes(draw: st.DrawFn) -> Request:
    """A create or an update."""
    path, original = draw(seeded)
    media, body = draw(bodies(original))
    method = draw(st.sampled_from(["POST", "POST", "PUT", "PUT", "DELETE"]))
    if method != "POST" and draw(st.booleans()):
        path += (
            "/" + original.get("metadata", {}).get("name", "x") + draw(st.sampled_from(["", "", "/status", "/scale"]))
        )
    query = draw(st.one_of(st.just("dryRun=All"), queries))
    if method == "DELETE":
        media, body = draw(bodies(seeds.DELETE_OPTIONS))
        query = "dryRun=All&" + draw(queries)
    return Request(method, path, {}, {"content-type": media, "accept": draw(accepts)}, body, raw_query=query)


@fuzz(150, 20_000, request=writes())
def test_writes(request: Request) -> None:
    check(request)


@st.composite
def patches(draw: st.DrawFn) -> Request:
    """A patch of any type."""
    path, original = draw(st.sampled_from(seeds.OBJECTS))
    name = original["metadata"]["name"]
    media = draw(st.sampled_from([*sorted(PATCHES), JSON, ""]))
    if media == "application/json-patch+json":
        body = dumped(draw(json_patches(original)))
    else:
        body = dumped(draw(patch_values(original)))
    how = draw(st.integers(0, 5))
    if how == 0:
        body = draw(mutated(st.just(body)))
    elif how == 1:
        body = draw(st.sampled_from(ODD_YAML if media.endswith("yaml") else ODD_JSON))
    part = draw(st.sampled_from(["", "", "", "/status", "/scale", "/resize", "/ephemeralcontainers"]))
    query = "&".join(
        [draw(queries), "fieldManager=f", *draw(st.lists(st.sampled_from(["force=true", "dryRun=All"]), max_size=2))]
    )
    return Request("PATCH", f"{path}/{name}{part}", {}, {"content-type": media}, body, raw_query=query)


@st.composite
def patch_values(draw: st.DrawFn, original: Any) -> Any:
    """A merge patch: a piece of the object, with directives strewn in."""
    value = draw(st.one_of(altered(original), values))
    if isinstance(value, dict):
        spot = draw(st.sampled_from([value, *[child for child in value.values() if isinstance(child, dict)]]))
        key = draw(
            st.sampled_from(
                [
                    "$patch",
                    "$retainKeys",
                    "$setElementOrder/containers",
                    "$deleteFromPrimitiveList/finalizers",
                    "$setElementOrder/ports",
                    "x",
                ]
            )
        )
        if draw(st.booleans()):
            spot[key] = draw(st.one_of(st.sampled_from(["replace", "delete", "merge"]), values))
        if draw(st.booleans()):
            value["kind"], value["apiVersion"] = draw(texts), draw(texts)
    return value


@st.composite
def json_patches(draw: st.DrawFn, original: Any) -> Any:
    """Operations on places that may exist."""
    pointers = st.one_of(
        st.sampled_from(
            [
                "",
                "/",
                "/metadata",
                "/metadata/labels/app",
                "/metadata/name",
                "/spec",
                "/spec/containers/0/image",
                "/spec/containers/-",
                "/spec/containers/99",
                "/spec/containers/01",
                "/data/a",
                "/~2",
                "/~0~1",
                "a",
                "/metadata/resourceVersion",
                "/kind",
                "/spec/containers/-1",
            ]
        ),
        texts,
    )
    operation = st.fixed_dictionaries(
        {
            "op": st.one_of(st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), texts),
            "path": pointers,
        },
        optional={"from": pointers, "value": values, "x": values},
    )
    return draw(st.one_of(st.lists(operation, max_size=4), values))


@fuzz(150, 20_000, request=patches())
def test_patches(request: Request) -> None:
    check(request)


@fuzz(
    50,
    5_000,
    headers=st.dictionaries(
        st.sampled_from(
            [
                "authorization",
                "impersonate-user",
                "impersonate-group",
                "impersonate-uid",
                "impersonate-extra-a",
                "impersonate-extra-%zz",
                "user-agent",
                "content-type",
                "accept",
                "accept-encoding",
                "upgrade",
                "connection",
                "sec-websocket-protocol",
                "if-none-match",
                "audit-id",
                "x-remote-user",
            ]
        ),
        st.one_of(
            st.sampled_from(["Bearer a.b.c", "Bearer ", "Basic eA==", "websocket", "SPDY/3.1", "system:masters"]), texts
        ),
        max_size=4,
    ),
    path=paths,
)
def test_headers(headers: dict[str, str], path: str) -> None:
    check(Request("GET", path, {}, headers, raw_query="timeoutSeconds=1"))
