"""The kinds whose schemas the expressions of a policy are checked against."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.apimachinery.gvk import GroupVersionKind
from knarr.apimachinery.types import Object
from knarr.controller.policy_status.kinds import Kinds, to_check

CRON: Object = {
    "spec": {
        "group": "example.com",
        "names": {"plural": "crons", "singular": "cron", "kind": "Cron"},
        "versions": [{"name": "v1", "served": True}, {"name": "v2", "served": False}],
    }
}
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
#: What the server publishes of it.
DOCUMENT: Object = {
    "components": {
        "schemas": {
            "com.example.v1.Cron": {
                "type": "object",
                "properties": {
                    "metadata": {"allOf": [{"$ref": f"#/components/schemas/{_META}"}]},
                    "spec": {"type": "object", "properties": {"at": {"type": "string"}}},
                },
                "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Cron"}],
            },
            _META: {
                "type": "object",
                "properties": {"labels": {"type": "object", "additionalProperties": {"type": "string"}}},
            },
        }
    }
}
KINDS = Kinds([CRON], {"example.com/v1": DOCUMENT})


def rule(groups: list[str], versions: list[str], resources: list[str]) -> Object:
    return {"apiGroups": groups, "apiVersions": versions, "resources": resources}


def kinds_of(*rules: Object) -> list[str]:
    policy = {"spec": {"matchConstraints": {"resourceRules": rules}}}
    return [f"{kind.api_version} {kind.kind}" for kind in to_check(policy, KINDS)]


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        (rule(["apps"], ["v1"], ["replicasets", "deployments"]), ["apps/v1 Deployment", "apps/v1 ReplicaSet"]),
        (rule(["", "apps"], ["v1"], ["pods", "deployments"]), ["v1 Pod", "apps/v1 Deployment"]),
        (rule(["apps"], ["v1"], ["deployments/scale", "*"]), []),
        (rule(["*"], ["v1"], ["deployments"]), []),
        (rule(["apps"], ["*"], ["deployments"]), []),
        (rule(["apps"], ["v1", "v2"], ["deployments", "nothings"]), ["apps/v1 Deployment"]),
        (rule(["example.com"], ["v1", "v2"], ["crons"]), ["example.com/v1 Cron"]),
    ],
)
def test_rules_name_kinds(given: Object, kinds: list[str]) -> None:
    assert kinds_of(given) == kinds


def test_kinds_of_several_rules_are_each_checked_once() -> None:
    pods = rule([""], ["v1"], ["pods"])
    assert kinds_of(pods, pods, rule(["apps"], ["v1"], ["deployments"])) == ["v1 Pod", "apps/v1 Deployment"]


def test_a_rule_that_names_very_many_is_checked_in_part() -> None:
    many = ["pods", "nodes", "services", "secrets", "configmaps", "events", "endpoints", "limitranges", "namespaces"]
    given = rule([""], ["v1"], [*many, "persistentvolumes", "serviceaccounts", "resourcequotas"])
    assert len(kinds_of(given, rule(["apps"], ["v1"], ["deployments"]))) == 10


def test_schemas_of_custom_resources_are_those_that_are_published() -> None:
    cron = GroupVersionKind("example.com", "v1", "Cron")
    schema: Any = KINDS.schema(cron)
    assert set(schema["properties"]) == {"metadata", "spec"}
    assert "labels" in schema["properties"]["metadata"]["properties"]
    unread = Kinds([CRON], {})
    assert unread.schema(cron) is None
    assert unread.unread([cron, GroupVersionKind("apps", "v1", "Deployment")]) == {"example.com/v1"}
    assert KINDS.unread([cron]) == set()
    assert Kinds([CRON], {"example.com/v1": None}).unread([cron]) == set()
