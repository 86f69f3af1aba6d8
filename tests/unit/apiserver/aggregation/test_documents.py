"""Whatever another API server says it serves, documents come of it that can be sent."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.apiserver.webhooks.test_answers import JSON

from knarr.api.openapi.stream import Lazy, whole
from knarr.apiserver.aggregation import documents, openapi
from knarr.apiserver.aggregation.documents import Other
from knarr.apiserver.aggregation.openapi import Part
from knarr.apiserver.aggregation.routes import Route
from knarr.apiserver.webhooks.endpoints import ServicePort

ENTRIES = st.dictionaries(
    st.sampled_from(["name", "kind", "group", "version", "verbs", "shortNames", "namespaced", "singularName"]),
    JSON | st.sampled_from(["a", "a/b", "b/status"]),
    max_size=6,
)


def route(group: str = "g.example.com", version: str = "v1", priority: int = 1000, rank: int = 10) -> Route:
    return Route("n", group, version, ServicePort("n", "s"), "", False, True, priority, rank)  # noqa: FBT003


@given(st.lists(ENTRIES | JSON, max_size=6), st.booleans())
def test_any_list_of_resources_makes_an_entry_of_discovery(entries: list[Any], fresh: bool) -> None:  # noqa: FBT001
    found = documents.aggregated(Other(route(), documents.resources({"resources": entries}), fresh))
    assert found["freshness"] == ("Current" if fresh else "Stale")
    orjson.dumps(found)
    assert documents.resources({"resources": 5}) == ()


@given(JSON, JSON, JSON)
def test_any_openapi_document_is_a_part_that_can_be_written_or_nothing(item: Any, schema: Any, other: Any) -> None:
    for document in (other, {"paths": {"/apis/g.example.com/v1/x": item}, "definitions": {"T": schema}}):
        part = openapi.part(document, route())
        own = Lazy(lambda: (("paths", Lazy(lambda: (("/api", {}),))), ("definitions", Lazy(lambda: ()))))
        if part is not None:
            found = whole(openapi.merged(own, [part]))
            assert found["paths"]["/api"] == {}
        assert isinstance(openapi.index(document, route()), str)


def test_types_come_along_with_what_refers_to_them() -> None:
    schema = {"200": {"description": "", "schema": {"$ref": "#/definitions/A"}}}
    document = {
        "paths": {
            "/apis/g.example.com/v1/x": {"get": {"responses": schema}},
            "/apis/g.example.com/v10/x": {"get": {"responses": {}}},
        },
        "definitions": {
            "A": {"type": "object", "properties": {"b": {"$ref": "#/definitions/B"}}},
            "B": {"type": "string"},
            "C": {"type": "string"},
        },
    }
    part = openapi.part(document, route())
    assert part is not None
    assert list(part.paths) == ["/apis/g.example.com/v1/x"]
    assert sorted(part.definitions) == ["A", "B"]
    mine = Lazy(lambda: (("paths", Lazy(lambda: ())), ("definitions", Lazy(lambda: (("A", {"mine": True}),)))))
    merged = whole(openapi.merged(mine, [part, Part({}, {"B": {"type": "integer"}})]))
    assert merged["definitions"] == {"A": {"mine": True}, "B": {"type": "string"}}


def test_groups_stand_by_their_priority_and_versions_by_theirs() -> None:
    own = [("", ["v1"]), ("apps", ["v1"]), ("batch", ["v1"]), ("custom.example.com", ["v1"])]
    priorities = {"": 18000, "apps": 17800, "batch": 17400}
    others = [
        Other(one, (), True)
        for one in (
            route("m.example.com", "v1beta1", 17500, 5),
            route("m.example.com", "v1", 17500, 10),
            route("a.example.com", priority=1000),
            route("z.example.com", priority=100),
            route("apps", "v2"),
        )
    ]
    assert documents.merged_groups(own, priorities, others) == [
        ("", ["v1"]),
        ("apps", ["v1", "v2"]),
        ("m.example.com", ["v1", "v1beta1"]),
        ("batch", ["v1"]),
        ("a.example.com", ["v1"]),
        ("custom.example.com", ["v1"]),
        ("z.example.com", ["v1"]),
    ]
