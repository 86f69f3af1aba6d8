"""Discovery: the default API set as the published documents have it, in both forms; caching."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from knarr.api.registry import RESOURCES
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.discovery import Discovery
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import ServedResources
from knarr.apiserver.watch_cache import WatchCache

REFERENCE = Path(__file__).parents[4] / "shared" / "reference" / "discovery"
needed = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the published documents are not beside this checkout")
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
STABLE = re.compile(r"v[0-9]+")
VERSIONS = sorted({each.prefix for each in RESOURCES})
GROUPS = sorted({each.group for each in RESOURCES if each.group})


@pytest.fixture(scope="module")
def discovery() -> Discovery:
    served = ServedResources(WatchCache())
    served.add_all(RESOURCES)
    return Discovery(served, lambda: "127.0.0.1:6443")


def ask(discovery: Discovery, path: str, accept: str = "", **headers: str) -> Response:
    response = discovery.answer(Request("GET", path, {}, {"accept": accept, **headers}))
    assert response is not None
    return response


def body(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return orjson.loads(response.body)


def published(name: str) -> Any:
    return json.loads((REFERENCE / f"{name}.json").read_text())


def stable(group: Object) -> Object:
    """A published group without the versions that are off by default."""
    versions = [each for each in group["versions"] if STABLE.fullmatch(each["version"])]
    return {**group, "versions": versions, "preferredVersion": versions[0]} if versions else {}


@needed
@pytest.mark.parametrize("prefix", VERSIONS)
def test_a_version_has_the_published_resources(discovery: Discovery, prefix: str) -> None:
    made = body(ask(discovery, prefix))
    wanted = published(prefix[1:].replace("/", "__"))
    assert {each["name"]: each for each in made["resources"]} == {each["name"]: each for each in wanted["resources"]}
    assert {key: made[key] for key in made if key != "resources"} == {
        key: wanted[key] for key in wanted if key != "resources"
    }


@needed
@pytest.mark.parametrize("group", GROUPS)
def test_a_group_has_the_published_stable_versions(discovery: Discovery, group: str) -> None:
    assert body(ask(discovery, f"/apis/{group}")) == stable(published(f"apis__{group}"))


@needed
def test_groups_come_in_the_published_order(discovery: Discovery) -> None:
    wanted = [found for group in published("apis")["groups"] if (found := stable(group))]
    assert body(ask(discovery, "/apis"))["groups"] == wanted


@needed
def test_the_aggregated_form_tells_the_same(discovery: Discovery) -> None:
    made = {each["metadata"].get("name", ""): each for path in ("/api", "/apis") for each in items(discovery, path)}
    for wanted in published("aggregated_v2")["items"]:
        versions = [each for each in wanted["versions"] if STABLE.fullmatch(each["version"])]
        if versions:
            found = made.pop(wanted["metadata"].get("name", ""))
            assert found["versions"] == versions, wanted["metadata"]
    assert set(made) <= {""}


def items(discovery: Discovery, path: str) -> list[Object]:
    found: list[Object] = body(ask(discovery, path, AGGREGATED))["items"]
    return found


def test_a_known_document_is_not_sent_again(discovery: Discovery) -> None:
    first = ask(discovery, "/apis", AGGREGATED)
    again = ask(discovery, "/apis", AGGREGATED, **{"if-none-match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


def test_an_old_form_alone_is_refused(discovery: Discovery) -> None:
    with pytest.raises(StatusError) as caught:
        ask(discovery, "/apis", AGGREGATED.replace("v=v2", "v=v2beta1"))
    assert caught.value.code == 406


def test_plain_json_before_the_aggregated_form_wins(discovery: Discovery) -> None:
    assert body(ask(discovery, "/apis", f"application/json,{AGGREGATED}"))["kind"] == "APIGroupList"


def test_what_is_not_served_has_no_document(discovery: Discovery) -> None:
    for path in ("/apis/none.example.com", "/apis/apps/v2", "/apis/apps/v1/deployments", "/api/v2"):
        assert discovery.answer(Request("GET", path, {}, {})) is None
