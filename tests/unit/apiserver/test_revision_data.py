"""The data of ControllerRevisions: texts, not values."""

from __future__ import annotations

import orjson
import pytest

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver import revision_data
from knarr.apiserver.request import Request
from knarr.apiserver.watch_cache import Entry

SPACED = b'{"metadata": {"name": "r"}, "revision": 1, "data": {"b": 1, "a": [1, 2]}}'
OBJECT: Object = {"metadata": {"name": "r"}, "revision": 1, "data": {"b": 1, "a": [1, 2]}}


def revisions() -> Resource:
    found = registry.by_kind("apps", "v1", "ControllerRevision")
    assert found is not None
    return found


def request(method: str, media: str = "application/json", body: bytes = SPACED) -> Request:
    return Request(method, "/", {}, {"content-type": media}, body)


def stored(asked: Request) -> Entry:
    return Entry("k", 1, orjson.dumps(revision_data.verbatim(asked, OBJECT)), None)


def test_the_text_that_was_sent_is_stored() -> None:
    assert b'"data":{"b": 1, "a": [1, 2]}' in stored(request("POST")).body


def test_an_update_with_the_same_text_is_no_change() -> None:
    revision_data.check(revisions(), request("PUT"), OBJECT, stored(request("POST")))


@pytest.mark.parametrize(
    "asked",
    [
        request("PUT", body=orjson.dumps(OBJECT)),
        request("PATCH", "application/merge-patch+json", b"{}"),
        request("PATCH", "application/apply-patch+yaml", b"{}"),
    ],
)
def test_another_text_for_the_same_data_is_refused(asked: Request) -> None:
    with pytest.raises(StatusError, match="field is immutable") as error:
        revision_data.check(revisions(), asked, OBJECT, stored(request("POST")))
    assert error.value.code == 422


def test_a_plain_text_takes_patches_that_keep_the_order() -> None:
    plain = stored(request("POST", body=orjson.dumps(OBJECT)))
    revision_data.check(revisions(), request("PATCH", "application/merge-patch+json", b"{}"), OBJECT, plain)
    with pytest.raises(StatusError):
        revision_data.check(revisions(), request("PATCH", "application/strategic-merge-patch+json"), OBJECT, plain)
