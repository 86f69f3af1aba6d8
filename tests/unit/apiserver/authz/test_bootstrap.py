"""Bootstrap roles, and their reconciliation with what an administrator made of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from knarr.api.bootstrap.rbac import objects
from knarr.apimachinery.types import Object
from knarr.apiserver.authz.bootstrap import reconcile

REFERENCE = Path(__file__).parents[5] / "shared" / "reference" / "rbac"
FILES = (
    "cluster-roles",
    "controller-roles",
    "namespace-roles",
    "cluster-role-bindings",
    "controller-role-bindings",
    "namespace-role-bindings",
)
GROUP = "rbac.authorization.k8s.io"


def key(obj: Object) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


@pytest.mark.skipif(not REFERENCE.exists(), reason="the published roles are not at hand")
def test_the_roles_are_those_of_kubernetes() -> None:
    published: dict[Any, Object] = {}
    for name in FILES:
        for obj in yaml.safe_load((REFERENCE / f"{name}.yaml").read_text())["items"]:
            published[key(obj)] = obj
    made = {key(obj): obj for obj in objects() if not obj["metadata"]["name"].startswith("knarr:")}
    assert made == published


def stored(reader: Any) -> None:
    for obj in objects():
        reader.add(obj["kind"].lower() + "s", copy.deepcopy(obj), GROUP)


def test_a_new_cluster_gets_all(reader: Any) -> None:
    changes = list(reconcile(reader))
    assert {change.action for change in changes} == {"create"}
    assert len(changes) == len(list(objects()))


def test_nothing_to_do_twice(reader: Any) -> None:
    stored(reader)
    assert list(reconcile(reader)) == []


def test_what_was_taken_comes_back_and_what_was_added_stays(reader: Any) -> None:
    stored(reader)
    role = reader.get("clusterroles", GROUP, "", "system:basic-user")
    dropped = role["rules"].pop(0)
    extra = {"verbs": ["get"], "apiGroups": ["x"], "resources": ["y"]}
    role["rules"].append(extra)
    binding = reader.get("clusterrolebindings", GROUP, "", "system:basic-user")
    binding["subjects"] = [{"kind": "User", "name": "mine"}]
    changes = {key(change.obj)[0]: change for change in reconcile(reader)}
    rules = changes["ClusterRole"].obj["rules"]
    assert extra in rules
    assert {(rule["verbs"][0], rule["resources"][0]) for rule in rules} >= {
        (dropped["verbs"][0], resource) for resource in dropped["resources"]
    }
    names = [subject["name"] for subject in changes["ClusterRoleBinding"].obj["subjects"]]
    assert names == ["mine", "system:authenticated"]


def test_an_object_that_is_not_to_be_updated_is_left_alone(reader: Any) -> None:
    stored(reader)
    role = reader.get("clusterroles", GROUP, "", "system:basic-user")
    role["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] = "false"
    role["rules"] = []
    assert list(reconcile(reader)) == []


def test_a_binding_to_another_role_is_replaced(reader: Any) -> None:
    stored(reader)
    reader.get("clusterrolebindings", GROUP, "", "system:discovery")["roleRef"]["name"] = "view"
    assert [change.action for change in reconcile(reader)] == ["replace"]
