"""Which requests an audit policy writes down, and how much of them."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.apiserver.audit.policy import Audited, parse
from knarr.apiserver.request import RequestInfo, UserInfo


def _policy(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **more}


_ALICE = UserInfo("alice", ("devs",))
_GET_POD = RequestInfo("get", "/api/v1/namespaces/a/pods/b", True, "", "v1", "a", "pods", "", "b")
_POD_LOG = RequestInfo("get", "/api/v1/namespaces/a/pods/b/log", True, "", "v1", "a", "pods", "log", "b")
_LIST = RequestInfo("list", "/apis/apps/v1/deployments", True, "apps", "v1", "", "deployments")
_HEALTH = RequestInfo("get", "/healthz/etcd")


@pytest.mark.parametrize(
    ("rule", "matching"),
    [
        ({}, [_GET_POD, _POD_LOG, _LIST, _HEALTH]),
        ({"users": ["bob"]}, []),
        ({"userGroups": ["devs"], "verbs": ["list"]}, [_LIST]),
        ({"namespaces": ["a"]}, [_GET_POD, _POD_LOG]),
        ({"namespaces": [""]}, [_LIST]),
        ({"resources": [{"group": ""}]}, [_GET_POD, _POD_LOG]),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, [_GET_POD]),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, [_GET_POD, _POD_LOG]),
        ({"resources": [{"group": "", "resources": ["*/log"]}]}, [_POD_LOG]),
        ({"resources": [{"group": "apps", "resources": ["*"]}]}, [_LIST]),
        ({"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["c"]}]}, []),
        ({"nonResourceURLs": ["/healthz*"]}, [_HEALTH]),
        ({"nonResourceURLs": ["/version"]}, []),
    ],
)
def test_rules(rule: dict[str, Any], matching: list[RequestInfo]) -> None:
    policy = parse(_policy({**rule, "level": "Metadata"}))
    asked = [_GET_POD, _POD_LOG, _LIST, _HEALTH]
    assert [info for info in asked if policy.of(_ALICE, info).level == "Metadata"] == matching


def test_the_first_rule_decides_and_the_rest_is_not_written_down() -> None:
    first = {"level": "None", "users": ["alice"]}
    second = {"level": "Request", "omitStages": ["Panic"], "omitManagedFields": False, "verbs": ["get"]}
    policy = parse(_policy(first, second, omitStages=["RequestReceived"], omitManagedFields=True))
    assert policy.of(_ALICE, _GET_POD).level == "None"
    assert policy.of(None, _GET_POD) == Audited("Request", frozenset({"Panic", "RequestReceived"}))
    assert policy.of(None, _LIST).level == "None"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"kind": "Pod"}, "a Policy is wanted"),
        ({"kind": "Policy", "apiVersion": "v1"}, "is not audit.k8s.io/v1"),
        (_policy(), "rules: Required value"),
        (_policy({}), r"rules\[0\].level: Required value"),
        (_policy({"level": "All"}), r"rules\[0\].level: Unsupported value"),
        (_policy({"level": "None"}, omitStages=["Late"]), r"omitStages\[0\]: Unsupported value"),
        (_policy({"level": "None", "nonResourceURLs": ["x"]}), "must begin with a"),
        (_policy({"level": "None", "nonResourceURLs": ["/a*b"]}), "must be the final character"),
        (_policy({"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["a"]}), "cannot apply to both"),
        (_policy({"level": "None", "resources": [{"resourceNames": ["a"]}]}), "requires at least one resource"),
    ],
)
def test_bad_policies(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(document)
