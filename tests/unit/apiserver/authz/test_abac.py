"""ABAC: what a file of policies allows, as the examples of Kubernetes' documentation have it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from knarr.apiserver.authz.abac import AbacAuthorizer
from knarr.apiserver.request import RequestInfo, UserInfo


def line(**spec: Any) -> str:
    return json.dumps({"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": spec})


FILE = "\n".join(
    (
        "# everybody who is somebody",
        line(user="alice", namespace="*", resource="*", apiGroup="*"),
        line(user="kubelet", namespace="*", resource="pods", readonly=True),
        "",
        line(user="bob", namespace="projectCaribou", resource="pods", readonly=True),
        line(group="system:authenticated", readonly=True, nonResourcePath="/healthz*"),
        line(user="carol", group="dev", namespace="*", resource="*", apiGroup="apps"),
        line(namespace="*", resource="*", apiGroup="*"),
    )
)


def asks(user: str, verb: str, resource: str, namespace: str, group: str = "", *groups: str) -> bool:
    info = RequestInfo(verb, "", True, group, "v1", namespace, resource)
    decision = AbacAuthorizer(FILE).authorize(UserInfo(user, groups), info)
    assert decision is not None and (decision.allowed or decision.reason == "No policy matched.")
    return decision.allowed


@pytest.mark.parametrize(
    ("question", "allowed"),
    [
        (("alice", "delete", "secrets", "x", "any.group"), True),
        (("kubelet", "list", "pods", "x"), True),
        (("kubelet", "create", "pods", "x"), False),
        (("kubelet", "get", "pods", "x", "other.group"), False),
        (("bob", "get", "pods", "projectCaribou"), True),
        (("bob", "get", "pods", "default"), False),
        (("carol", "create", "deployments", "x", "apps", "dev"), True),
        (("carol", "create", "deployments", "x", "apps"), False),
        (("dave", "create", "deployments", "x", "apps", "dev"), False),
    ],
)
def test_resources(question: tuple[str, ...], allowed: bool) -> None:  # noqa: FBT001
    assert asks(*question) is allowed


def test_paths() -> None:
    abac = AbacAuthorizer(FILE)
    somebody, nobody = UserInfo("x", ("system:authenticated",)), UserInfo("x")
    for user, verb, path, allowed in (
        (somebody, "get", "/healthz/etcd", True),
        (somebody, "post", "/healthz", False),
        (somebody, "get", "/metrics", False),
        (nobody, "get", "/healthz", False),
    ):
        decision = abac.authorize(user, RequestInfo(verb, path))
        assert decision is not None and decision.allowed is allowed


def test_rules_are_listed() -> None:
    rules = AbacAuthorizer(FILE).rules_for(UserInfo("bob", ("system:authenticated",)), "projectCaribou")
    assert rules is not None
    reads = ["get", "list", "watch"]
    assert rules.resource_rules == [{"verbs": reads, "apiGroups": [""], "resources": ["pods"]}]
    assert rules.non_resource_rules == [{"verbs": reads, "nonResourceURLs": ["/healthz*"]}]


@pytest.mark.parametrize("bad", ["x", "[]", "{}", line(user=1), '{"kind": "Policy"}'])
def test_what_is_no_policy_is_refused_with_its_line(bad: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        AbacAuthorizer(f"{line(user='a')}\n{bad}")
