"""Whatever a webhook answers, it is a verdict or an error that says what is wrong."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apiserver.webhooks import answers, reviews
from knarr.apiserver.webhooks.answers import CallError

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = ("uid", "allowed", "status", "patch", "patchType", "auditAnnotations", "warnings")
RESPONSES = st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=7)


def review(response: Any, version: str = "v1") -> dict[str, Any]:
    return {"kind": "AdmissionReview", "apiVersion": f"admission.k8s.io/{version}", "response": response}


@given(st.integers(100, 999), st.sampled_from(["", "text/plain", "application/json"]), st.binary(max_size=64))
def test_any_bytes_are_an_object_or_an_error(status: int, media: str, body: bytes) -> None:
    try:
        assert isinstance(answers.read(status, media, body), dict)
    except CallError as error:
        assert str(error)


@given(JSON, JSON)
def test_any_document_is_a_verdict_or_an_error(document: Any, response: Any) -> None:
    for answer in (document if isinstance(document, dict) else {}, review(response)):
        for mutating in (True, False):
            try:
                reviews.verdict(answer, "u", "v1", mutating=mutating)
            except ValueError as error:
                assert str(error)


@given(RESPONSES, st.sampled_from(["v1", "v1beta1"]))
def test_any_response_is_a_verdict_whose_parts_can_be_used(response: dict[str, Any], version: str) -> None:
    try:
        found = reviews.verdict(review({**response, "uid": "u"}, version), "u", version, mutating=True)
        operations = reviews.operations(found) if found.patch else []
    except ValueError as error:
        assert str(error)
        return
    assert isinstance(found.allowed, bool)
    assert all(isinstance(one, str) for one in (*found.warnings, *found.annotations.values()))
    assert all(isinstance(one, dict) for one in operations)
    refused = reviews.refusal("w", found.status)
    assert 400 <= refused.code < 1000 and refused.message.startswith('admission webhook "w" denied the request')
    orjson.dumps(refused.status())


@given(JSON)
def test_any_patch_is_operations_or_an_error(value: Any) -> None:
    patch = base64.b64encode(orjson.dumps(value)).decode()
    response = {"uid": "u", "allowed": True, "patchType": "JSONPatch", "patch": patch}
    found = reviews.verdict(review(response), "u", "v1", mutating=True)
    try:
        assert isinstance(reviews.operations(found), list)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("status", "media", "body", "text"),
    [
        (404, "text/plain", b"404 page not found", "the server could not find the requested resource"),
        (403, "text/plain", b"go away", "go away"),
        (502, "text/html", b"<p>bad</p>", 'an error on the server ("<p>bad</p>") has prevented the request'),
        (500, "image/png", b"\x89PNG", 'an error on the server ("unknown") has prevented the request'),
        (301, "", b"", "the server responded with the status code 301 but did not return more information"),
        (500, "application/json", b'{"kind":"Status","message":"broken"}', "broken"),
        (200, "", b"", "0-length response with status code: 200"),
        (200, "", b'{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no"}', "no"),
    ],
)
def test_failures_are_worded_as_clients_of_kubernetes_word_them(
    status: int, media: str, body: bytes, text: str
) -> None:
    with pytest.raises(CallError) as caught:
        answers.read(status, media, body)
    assert str(caught.value).startswith(text)
