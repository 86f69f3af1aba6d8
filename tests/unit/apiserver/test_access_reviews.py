"""The reviews: answers, and the failures of what cannot be asked."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver import access_reviews
from knarr.apiserver.authz.chain import AuthorizerChain
from knarr.apiserver.request import UserInfo

GROUP = "rbac.authorization.k8s.io"
ALICE = UserInfo("alice", ("system:authenticated",), "u", {"k": ("v",)})
READ = {"namespace": "ns", "verb": "get", "resource": "pods"}


@pytest.fixture
def chain() -> AuthorizerChain:
    chain = AuthorizerChain()
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    chain.on_event("roles", GROUP, "ADDED", {"metadata": {"namespace": "ns", "name": "r"}, "rules": rules})
    binding: Object = {
        "metadata": {"namespace": "ns", "name": "rb"},
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "alice"}],
    }
    chain.on_event("rolebindings", GROUP, "ADDED", binding)
    return chain


def test_may_i(chain: AuthorizerChain) -> None:
    answer = access_reviews.self_subject_access({"spec": {"resourceAttributes": READ}}, ALICE, chain)
    assert answer["status"] == {
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "rb/ns" of Role "r" to User "alice"',
    }
    assert answer["metadata"] == {}


def test_may_another(chain: AuthorizerChain) -> None:
    spec: Object = {"user": "bob", "resourceAttributes": READ}
    assert access_reviews.subject_access({"spec": spec}, chain)["status"] == {"allowed": False}
    masters: Object = {"groups": ["system:masters"], "nonResourceAttributes": {"path": "/x", "verb": "get"}}
    assert access_reviews.subject_access({"spec": masters}, chain)["status"] == {"allowed": True}


def test_a_local_review_keeps_to_its_namespace(chain: AuthorizerChain) -> None:
    body: Object = {"metadata": {"namespace": "ns"}, "spec": {"user": "alice", "resourceAttributes": READ}}
    answer = access_reviews.local_subject_access(body, "ns", chain)
    assert (answer["status"]["allowed"], answer["metadata"]) == (True, {"namespace": "ns"})
    body["spec"]["resourceAttributes"] = {**READ, "namespace": "other"}
    with pytest.raises(StatusError, match="must match metadata.namespace"):
        access_reviews.local_subject_access(body, "ns", chain)
    body["spec"] = {"user": "alice", "nonResourceAttributes": {"path": "/", "verb": "get"}}
    with pytest.raises(StatusError) as caught:
        access_reviews.local_subject_access(body, "ns", chain)
    assert caught.value.message == (
        '.authorization.k8s.io "" is invalid: spec.nonResourceAttributes: '
        'Invalid value: {"Path":"/","Verb":"get"}: disallowed on this kind of request'
    )


ONE_OF = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
NO_SELECTOR = "is specified, requirements or rawSelector is required"


@pytest.mark.parametrize(
    ("spec", "fields", "text"),
    [
        ({"user": "a"}, ["spec.resourceAttributes"], ONE_OF),
        ({}, ["spec.resourceAttributes", "spec.user"], "at least one of user or group must be specified"),
        (
            {"user": "a", "resourceAttributes": READ, "nonResourceAttributes": {"path": "/", "verb": "get"}},
            ["spec.nonResourceAttributes"],
            "cannot be specified in combination with resourceAttributes",
        ),
        (
            {"user": "a", "resourceAttributes": {**READ, "labelSelector": {}}},
            ["spec.resourceAttributes.labelSelector.requirements"],
            NO_SELECTOR,
        ),
        (
            {"user": "a", "resourceAttributes": {**READ, "fieldSelector": {"requirements": [{}]}}},
            ["spec.resourceAttributes.fieldSelector.requirements[0].key"],
            "Required value: must be specified",
        ),
        (
            {
                "user": "a",
                "resourceAttributes": {**READ, "fieldSelector": {"requirements": [{"key": "a", "operator": "In"}]}},
            },
            ["spec.resourceAttributes.fieldSelector.requirements[0].values"],
            "must be specified when `operator` is 'In' or 'NotIn'",
        ),
    ],
)
def test_what_cannot_be_asked(chain: AuthorizerChain, spec: Object, fields: list[str], text: str) -> None:
    with pytest.raises(StatusError) as caught:
        access_reviews.subject_access({"spec": spec}, chain)
    assert caught.value.code == 422
    assert [cause["field"] for cause in (caught.value.details or {})["causes"]] == fields
    assert text in caught.value.message


def test_a_review_has_no_labels(chain: AuthorizerChain) -> None:
    body: Object = {"metadata": {"labels": {"a": "b"}}, "spec": {"resourceAttributes": READ}}
    with pytest.raises(StatusError, match="must be empty"):
        access_reviews.self_subject_access(body, ALICE, chain)


def test_what_may_i(chain: AuthorizerChain) -> None:
    status = access_reviews.self_subject_rules({"spec": {"namespace": "ns"}}, ALICE, chain)["status"]
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    assert status == {"resourceRules": [rule], "nonResourceRules": [], "incomplete": False}
    node = UserInfo("system:node:n", ("system:nodes",))
    status = access_reviews.self_subject_rules({"spec": {"namespace": "ns"}}, node, chain)["status"]
    assert (status["incomplete"], status["evaluationError"]) == (
        True,
        "node authorizer does not support user rule resolution",
    )
    with pytest.raises(StatusError, match="no namespace on request"):
        access_reviews.self_subject_rules({"spec": {}}, ALICE, chain)


def test_who_am_i() -> None:
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    answer: Any = access_reviews.self_subject({"kind": "SelfSubjectReview"}, ALICE, now)
    assert answer["metadata"] == {"creationTimestamp": "2026-01-01T00:00:00Z"}
    assert answer["status"]["userInfo"] == {
        "username": "alice",
        "uid": "u",
        "groups": ["system:authenticated"],
        "extra": {"k": ["v"]},
    }
