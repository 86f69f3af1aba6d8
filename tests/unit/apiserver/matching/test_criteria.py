"""As what requests match: rules, scopes, selectors, equivalent resources."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.apiserver.conftest import FakeReader

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.matching import criteria
from knarr.apiserver.matching.criteria import Match
from knarr.apiserver.matching.versions import Versions, taken
from knarr.apiserver.request import UserInfo

DEPLOYMENTS = registry.resource("deployments", "apps")
NAMESPACES = registry.resource("namespaces")
NODES = registry.resource("nodes")
EVENTS = registry.resource("events")
NEW_EVENTS = registry.resource("events", "events.k8s.io")
HPA_V1 = registry.lookup("autoscaling", "v1", "horizontalpodautoscalers")
HPA_V2 = registry.lookup("autoscaling", "v2", "horizontalpodautoscalers")


def equivalents(resource: Resource, subresource: str) -> list[Resource]:
    return criteria.equivalents_in(registry.RESOURCES, resource, subresource)


class Requests:
    """Makes attributes over a reader."""

    def __init__(self, reader: FakeReader) -> None:
        self.reader = reader
        reader.add("namespaces", {"metadata": {"name": "n", "labels": {"team": "blue"}}})

    def __call__(
        self,
        resource: Resource,
        obj: Object | None,
        *,
        sub: str = "",
        old: Object | None = None,
        operation: Any = "CREATE",
        namespace: str = "n",
    ) -> Attributes:
        name = ((obj or old or {}).get("metadata") or {}).get("name", "")
        return Attributes(
            operation,
            resource,
            sub,
            namespace if resource.namespaced else "",
            name,
            obj,
            old,
            UserInfo("u"),
            self.reader,
        )


@pytest.fixture
def request_of(reader: FakeReader) -> Requests:
    return Requests(reader)


def hook(**fields: Any) -> Object:
    rule = {
        "operations": fields.pop("operations", ["*"]),
        "apiGroups": fields.pop("groups", ["*"]),
        "apiVersions": fields.pop("versions", ["*"]),
        "resources": fields.pop("resources", ["*"]),
    }
    if "scope" in fields:
        rule["scope"] = fields.pop("scope")
    return {"rules": [rule], "matchPolicy": "Exact", **fields}


def found(webhook: Object, attributes: Attributes) -> Match | None:
    return criteria.of_webhook(webhook).match(attributes, equivalents)


def pod(**labels: str) -> Object:
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "n", "labels": labels}}


@pytest.mark.parametrize(
    ("resources", "sub", "matches"),
    [
        (["pods"], "", True),
        (["pods"], "status", False),
        (["*"], "", True),
        (["*"], "status", False),
        (["*/*"], "", True),
        (["*/*"], "status", True),
        (["pods/*"], "", True),
        (["pods/*"], "exec", True),
        (["*/status"], "status", True),
        (["*/status"], "", False),
        (["deployments", "pods/log"], "log", True),
    ],
)
def test_resources_name_subresources_and_wildcards(
    request_of: Requests, resources: list[str], sub: str, matches: bool
) -> None:
    attributes = request_of(registry.PODS, pod(), sub=sub)
    assert (found(hook(resources=resources), attributes) is not None) == matches


@pytest.mark.parametrize(("scope", "in_it"), [("*", "pnN"), ("Namespaced", "p"), ("Cluster", "nN")])
def test_scope_counts_a_namespace_as_of_the_cluster(request_of: Requests, scope: str, in_it: str) -> None:
    asked = {
        "p": request_of(registry.PODS, pod()),
        "n": request_of(NODES, {"metadata": {"name": "x"}}),
        "N": request_of(NAMESPACES, {"metadata": {"name": "n"}}),
    }
    assert "".join(key for key, one in asked.items() if found(hook(scope=scope), one)) == in_it


def test_operations_groups_and_versions_must_be_named(request_of: Requests) -> None:
    attributes = request_of(registry.PODS, pod())
    assert found(hook(operations=["UPDATE", "CREATE"], groups=[""], versions=["v1"]), attributes)
    assert not found(hook(operations=["UPDATE"]), attributes)
    assert not found(hook(groups=["apps"]), attributes)
    assert not found(hook(versions=["v1beta1"]), attributes)


def test_a_webhook_without_rules_matches_nothing_and_a_binding_everything(request_of: Requests) -> None:
    attributes = request_of(registry.PODS, pod())
    assert criteria.of_webhook({}).match(attributes, equivalents) is None
    assert criteria.of_resources({}).match(attributes, equivalents) == Match(registry.PODS, registry.PODS.gvk)
    excluding = {"excludeResourceRules": hook(resources=["pods"])["rules"]}
    assert criteria.of_resources(excluding).match(attributes, equivalents) is None


def test_named_rules_are_about_their_objects_alone(request_of: Requests) -> None:
    named = {**hook()["rules"][0], "resourceNames": ["b"]}
    wanted = criteria.of_resources({"resourceRules": [named]})
    assert wanted.match(request_of(registry.PODS, pod()), equivalents) is None
    assert wanted.match(request_of(registry.PODS, {"metadata": {"name": "b"}}), equivalents)


def test_the_namespace_decides_and_an_absent_one_is_an_error_only_for_what_matches(request_of: Requests) -> None:
    blue = {"namespaceSelector": {"matchLabels": {"team": "blue"}}}
    red = {"namespaceSelector": {"matchLabels": {"team": "red"}}}
    attributes = request_of(registry.PODS, pod())
    assert found(hook(**blue), attributes)
    assert not found(hook(**red), attributes)
    lost = request_of(registry.PODS, pod(), namespace="gone")
    assert found(hook(), lost)
    assert not found(hook(resources=["nodes"], **blue), lost)
    with pytest.raises(StatusError, match='namespaces "gone" not found'):
        found(hook(**blue), lost)


def test_a_namespace_is_judged_by_its_own_labels(request_of: Requests) -> None:
    red = hook(namespaceSelector={"matchLabels": {"team": "red"}})
    new = {"metadata": {"name": "n", "labels": {"team": "red"}}}
    assert found(red, request_of(NAMESPACES, new))
    assert found(red, request_of(NAMESPACES, new, old={"metadata": {"name": "n"}}, operation="UPDATE"))
    # Of one that goes, the stored labels count.
    assert not found(red, request_of(NAMESPACES, None, old=new, operation="DELETE"))
    # What is in no namespace is never exempt.
    assert found(red, request_of(NODES, {"metadata": {"name": "x"}}))


def test_either_object_may_carry_the_labels(request_of: Requests) -> None:
    wanted = hook(objectSelector={"matchLabels": {"a": "1"}})
    assert found(wanted, request_of(registry.PODS, pod(a="1")))
    assert found(wanted, request_of(registry.PODS, pod(), old=pod(a="1"), operation="UPDATE"))
    assert found(wanted, request_of(registry.PODS, None, old=pod(a="1"), operation="DELETE"))
    assert not found(wanted, request_of(registry.PODS, pod(), old=pod(), operation="UPDATE"))
    assert not found(wanted, request_of(registry.PODS, None, operation="CONNECT", sub="exec"))


def test_equivalent_resources_match_where_the_policy_says_so(request_of: Requests) -> None:
    old_rule = {"groups": ["autoscaling"], "versions": ["v1"], "resources": ["horizontalpodautoscalers"]}
    assert HPA_V1 is not None and HPA_V2 is not None
    obj = {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": "autoscaling/v2",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}},
    }
    attributes = request_of(HPA_V2, obj)
    assert found(hook(**old_rule), attributes) is None
    match = found(hook(**old_rule, matchPolicy="Equivalent"), attributes)
    assert match == Match(HPA_V1, HPA_V1.gvk)
    seen = Versions(attributes).get(match)
    assert seen.object is not None and seen.object["apiVersion"] == "autoscaling/v1"
    changed = {**seen.object, "spec": {**seen.object["spec"], "maxReplicas": 5}}
    back = taken(changed, attributes, HPA_V1)
    assert (back["apiVersion"], back["spec"]["maxReplicas"]) == ("autoscaling/v2", 5)


def test_equivalents_cross_groups_and_the_own_resource_comes_first(request_of: Requests) -> None:
    both = hook(groups=["events.k8s.io", ""], resources=["events"], matchPolicy="Equivalent")
    one = hook(groups=["events.k8s.io"], resources=["events"], matchPolicy="Equivalent")
    attributes = request_of(EVENTS, {"metadata": {"name": "e", "namespace": "n"}})
    match, moved = found(both, attributes), found(one, attributes)
    assert match is not None and match.resource is EVENTS
    assert moved is not None and moved.resource is NEW_EVENTS


def test_the_scale_of_a_workload_is_shown_as_what_was_sent(request_of: Requests) -> None:
    obj = {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "d", "namespace": "n"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}},
    }
    attributes = request_of(DEPLOYMENTS, obj, old=obj, sub="scale", operation="UPDATE")
    match = found(hook(resources=["deployments/scale"]), attributes)
    assert match is not None and match.kind == ("autoscaling", "v1", "Scale")
    shown = Versions(attributes).get(match).object
    assert shown is not None and shown["kind"] == "Scale" and shown["spec"] == {"replicas": 2}
    assert taken({**shown, "spec": {"replicas": 4}}, attributes, DEPLOYMENTS)["spec"]["replicas"] == 4
