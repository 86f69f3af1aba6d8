"""CustomResourceDefinitions as clients meet them: over plain HTTP and with unmodified kubectl.

The tests are named for the specification's [sig-api-machinery] CustomResource* and FieldValidation entries.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, kubectls, until
from tests.e2e.rest import Rest

pytestmark = pytest.mark.rootless
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TEXT, NUMBER, ANYTHING = (
    {"type": "string"},
    {"type": "integer"},
    {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
)


class Group:
    """A group of its own for each test, and a namespace."""

    def __init__(self, rest: Rest, cluster: Cluster, name: str) -> None:
        self.rest, self.cluster, self.namespace = rest, cluster, name
        self.group = f"{name}.tests.io"
        self.made: list[str] = []

    def define(self, *versions: Any, plural: str = "widgets", kind: str = "Widget", **spec: Any) -> Any:
        """Make a definition; its objects are served when this returns."""
        crd = self.definition(*versions, plural=plural, kind=kind, **spec)
        name = crd["metadata"]["name"]
        self.rest.ok("POST", CRDS, crd)
        self.made.append(name)
        return until(lambda: self.established(name), f"{name} is established")

    def definition(self, *versions: Any, plural: str = "widgets", kind: str = "Widget", **spec: Any) -> Any:
        names = {"plural": plural, "kind": kind, **spec.pop("names", {})}
        body = {"group": self.group, "scope": "Namespaced", "names": names, "versions": list(versions), **spec}
        name = f"{plural}.{self.group}"
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": name},
            "spec": body,
        }

    def established(self, name: str) -> Any:
        crd = self.rest.ok("GET", f"{CRDS}/{name}")
        states = {item["type"]: item["status"] for item in crd["status"].get("conditions") or ()}
        return crd if states.get("Established") == "True" else None

    def change(self, patch: Any, plural: str = "widgets") -> Any:
        return self.rest.ok("PATCH", f"{CRDS}/{plural}.{self.group}", patch, Content_Type=MERGE)

    def path(self, name: str = "", version: str = "v1", plural: str = "widgets") -> str:
        whole = f"/apis/{self.group}/{version}/namespaces/{self.namespace}/{plural}"
        return f"{whole}/{name}" if name else whole

    def widget(self, name: str, version: str = "v1", **members: Any) -> Any:
        return {
            "apiVersion": f"{self.group}/{version}",
            "kind": "Widget",
            "metadata": {"name": name, **members.pop("metadata", {})},
            **members,
        }

    def create(self, name: str, version: str = "v1", **members: Any) -> Any:
        return self.rest.ok("POST", self.path(version=version), self.widget(name, version, **members))

    def document(self, version: str = "v1") -> Any:
        return self.rest.ok("GET", f"/openapi/v3/apis/{self.group}/{version}")

    def type_name(self, version: str = "v1", kind: str = "Widget") -> str:
        return ".".join([*reversed(self.group.split(".")), version, kind])


@pytest.fixture
def group(api_only: Cluster, request: pytest.FixtureRequest) -> Iterator[Group]:
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    rest = Rest(api_only.kubeconfig)
    rest.ok("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    made = Group(rest, api_only, name)
    yield made
    for crd in made.made:
        rest("DELETE", f"{CRDS}/{crd}")
    rest("DELETE", f"/api/v1/namespaces/{name}")


def version(schema: Any = ANYTHING, name: str = "v1", *, storage: bool = True, served: bool = True, **more: Any) -> Any:
    return {"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": schema}, **more}


def objects(**spec: Any) -> Any:
    """A schema with such a spec and any status."""
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}, "status": ANYTHING}}


# CustomResourceDefinition resources


def test_a_definition_is_served_at_once_and_goes_with_its_objects(group: Group) -> None:
    """[sig-api-machinery] CustomResourceDefinition resources Simple CustomResourceDefinition creating/deleting custom
    resource definition objects works
    """
    group.define(version())
    group.create("a", spec={"any": 1})
    group.rest.ok("DELETE", f"{CRDS}/widgets.{group.group}")
    until(lambda: group.rest("GET", f"{CRDS}/widgets.{group.group}")[0] == 404, "the definition is gone")
    assert group.rest("GET", group.path("a")) == (404, "404 page not found\n")


def test_a_definition_waits_for_its_objects_finalizers(group: Group) -> None:
    group.define(version())
    group.create("a", metadata={"finalizers": ["tests.io/hold"]})
    ended = group.rest.ok("DELETE", f"{CRDS}/widgets.{group.group}")
    assert ended["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    until(lambda: group.rest.ok("GET", group.path("a"))["metadata"].get("deletionTimestamp"), "it is marked")
    status, refused = group.rest("POST", group.path(), group.widget("b"))
    assert (status, refused["message"]) == (
        405,
        "create not allowed while custom resource definition is terminating",
    )
    group.rest.ok("PATCH", group.path("a"), {"metadata": {"finalizers": None}}, Content_Type=MERGE)
    until(lambda: group.rest("GET", f"{CRDS}/widgets.{group.group}")[0] == 404, "the definition is gone")


def test_the_status_of_a_definition_can_be_read_and_changed(group: Group) -> None:
    """[sig-api-machinery] CustomResourceDefinition resources Simple CustomResourceDefinition getting/updating/patching
    custom resource definition status sub-resource works
    """
    group.define(version())
    path = f"{CRDS}/widgets.{group.group}/status"
    condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from an e2e test"}
    crd = group.rest.ok("GET", path)
    crd["status"]["conditions"].append(condition)
    changed = group.rest.ok("PUT", path, crd)
    assert changed["status"]["conditions"][-1]["reason"] == "E2E"
    patched = group.rest.ok("PATCH", path, {"spec": {"scope": "Cluster"}, "status": {}}, Content_Type=MERGE)
    assert patched["spec"]["scope"] == "Namespaced"


def test_definitions_are_listed_and_deleted_by_label(group: Group) -> None:
    """[sig-api-machinery] CustomResourceDefinition resources Simple CustomResourceDefinition listing custom resource
    definition objects works
    """
    for index in range(10):
        crd = group.definition(version(), plural=f"things{index}", kind=f"Thing{index}")
        crd["metadata"]["labels"] = {"tests": group.namespace}
        group.rest.ok("POST", CRDS, crd)
    query = f"?labelSelector=tests={group.namespace}"
    assert len(group.rest.ok("GET", CRDS + query)["items"]) == 10
    group.rest.ok("DELETE", CRDS + query)
    until(lambda: not group.rest.ok("GET", CRDS + query)["items"], "all are gone")


def test_defaults_are_set_in_requests_and_in_what_is_stored(group: Group) -> None:
    """[sig-api-machinery] CustomResourceDefinition resources custom resource defaulting for requests and from storage
    works
    """
    group.define(version(objects(a=TEXT, b=TEXT)))
    group.create("old", spec={})
    with_a = objects(a={**TEXT, "default": "A"}, b=TEXT)
    group.change({"spec": {"versions": [version(with_a)]}})
    until(lambda: group.rest.ok("GET", group.path("old"))["spec"] == {"a": "A"}, "the stored one has it")
    assert group.create("new", spec={})["spec"] == {"a": "A"}
    group.change({"spec": {"versions": [version(objects(a=TEXT, b={**TEXT, "default": "B"}))]}})
    until(lambda: group.rest.ok("GET", group.path("new"))["spec"] == {"a": "A", "b": "B"}, "the old one stays")
    assert group.rest.ok("GET", group.path("old"))["spec"] == {"b": "B"}


def test_definitions_stand_in_discovery(group: Group) -> None:
    """[sig-api-machinery] CustomResourceDefinition resources should include custom resource definition resources in
    discovery documents
    """
    found = group.rest.ok("GET", "/apis/apiextensions.k8s.io/v1")
    assert "customresourcedefinitions/status" in {item["name"] for item in found["resources"]}
    group.define(version(), names={"shortNames": ["wdg"], "categories": ["all"], "singular": "widget"})
    (widgets,) = group.rest.ok("GET", f"/apis/{group.group}/v1")["resources"]
    assert (widgets["shortNames"], widgets["categories"], widgets["singularName"]) == (["wdg"], ["all"], "widget")
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    listed = group.rest.ok("GET", "/apis", Accept=accept)["items"]
    (own,) = [item for item in listed if item["metadata"]["name"] == group.group]
    assert own["versions"][0]["resources"][0]["resource"] == "widgets"


def test_definitions_can_be_watched(group: Group) -> None:
    """[sig-api-machinery] CustomResourceDefinition Watch CustomResourceDefinition Watch watch on custom resource
    definition objects
    """
    crd = group.definition(version())
    start = group.rest.ok("GET", CRDS)["metadata"]["resourceVersion"]
    group.rest.ok("POST", CRDS, crd)
    until(lambda: group.established(crd["metadata"]["name"]), "it is established")
    group.change({"metadata": {"labels": {"a": "b"}}})
    group.rest.ok("DELETE", f"{CRDS}/{crd['metadata']['name']}")
    query = f"?resourceVersion={start}&fieldSelector=metadata.name={crd['metadata']['name']}"
    kinds = [event["type"] for event in group.rest.watch(CRDS + query, 8)]
    assert kinds[0] == "ADDED"
    assert kinds[-1] == "DELETED"
    assert set(kinds[1:-1]) == {"MODIFIED"}


# Objects


def test_status_and_scale_are_their_own(group: Group) -> None:
    scale = {
        "specReplicasPath": ".spec.size",
        "statusReplicasPath": ".status.size",
        "labelSelectorPath": ".status.selector",
    }
    group.define(version(objects(size=NUMBER), subresources={"status": {}, "scale": scale}))
    made = group.create("a", spec={"size": 2}, status={"size": 9})
    assert "status" not in made
    status = {"status": {"size": 1, "selector": "a=b"}, "spec": {"size": 7}}
    changed = group.rest.ok("PATCH", group.path("a") + "/status", status, Content_Type=MERGE)
    assert (changed["spec"], changed["status"]["size"], changed["metadata"]["generation"]) == ({"size": 2}, 1, 1)
    group.cluster.kubectl("scale", f"widgets.{group.group}/a", "--replicas=5", "-n", group.namespace)
    found = group.rest.ok("GET", group.path("a") + "/scale")
    assert (found["spec"], found["status"]) == ({"replicas": 5}, {"replicas": 1, "selector": "a=b"})
    applied = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}, "spec": {"replicas": 3}}
    path = group.path("a") + "/scale?fieldManager=me&force=true"
    assert group.rest.ok("PATCH", path, applied, Content_Type=APPLY)["spec"] == {"replicas": 3}
    assert group.rest.ok("GET", group.path("a"))["metadata"]["generation"] == 3


def test_selectable_fields_select_lists_and_watches(group: Group) -> None:
    """[sig-api-machinery] CustomResourceFieldSelectors CustomResourceFieldSelectors MUST list and watch custom
    resources matching the field selector
    """
    fields = [{"jsonPath": ".spec.color"}]
    old = version(objects(color=TEXT), "v1beta1", storage=False, selectableFields=fields)
    group.define(version(objects(color=TEXT), selectableFields=fields), old)
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        group.create(name, spec={"color": color})
    query = "?fieldSelector=spec.color%3Dred"
    listed = group.rest.ok("GET", group.path(version="v1beta1") + query)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "c"]
    since = f"{query}&resourceVersion={listed['metadata']['resourceVersion']}"
    group.rest.ok("PATCH", group.path("b"), {"spec": {"color": "red"}}, Content_Type=MERGE)
    group.rest.ok("PATCH", group.path("a"), {"spec": {"color": "blue"}}, Content_Type=MERGE)
    events = [
        (event["type"], event["object"]["metadata"]["name"]) for event in group.rest.watch(group.path() + since, 2)
    ]
    assert events == [("ADDED", "b"), ("DELETED", "a")]
    group.rest.ok("DELETE", group.path() + query)
    assert [item["metadata"]["name"] for item in group.rest.ok("GET", group.path())["items"]] == ["a"]


def test_a_new_storage_version_is_taken_by_what_is_written_again(group: Group) -> None:
    group.define(version(), version(name="v2", storage=False))
    group.create("a", spec={"n": 1})
    group.change({"spec": {"versions": [version(storage=False), version(name="v2")]}})
    until(
        lambda: group.rest.ok("GET", f"{CRDS}/widgets.{group.group}")["status"]["storedVersions"] == ["v1", "v2"],
        "both are stored",
    )
    found = group.rest.ok("GET", group.path("a", "v2"))
    assert (found["apiVersion"], found["spec"]) == (f"{group.group}/v2", {"n": 1})
    again = group.rest.ok("PUT", group.path("a", "v2"), found)
    assert again["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]
    once_more = group.rest.ok("PUT", group.path("a", "v2"), again)
    assert once_more["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]


def test_strategic_patches_are_refused_and_others_not(group: Group) -> None:
    group.define(version())
    group.create("a", spec={"n": [1]})
    status, refused = group.rest(
        "PATCH", group.path("a"), {"spec": {}}, Content_Type="application/strategic-merge-patch+json"
    )
    assert status == 415
    assert "application/apply-patch+yaml" in refused["message"]
    patch = [{"op": "add", "path": "/spec/n/-", "value": 2}]
    changed = group.rest.ok("PATCH", group.path("a"), patch, Content_Type="application/json-patch+json")
    assert changed["spec"] == {"n": [1, 2]}


def test_dependents_and_namespaces_take_custom_resources_along(group: Group) -> None:
    group.define(version())
    owner = group.create("owner")
    reference = {
        "apiVersion": f"{group.group}/v1",
        "kind": "Widget",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
    }
    group.create("dependent", metadata={"ownerReferences": [reference]})
    maps = f"/api/v1/namespaces/{group.namespace}/configmaps"
    group.rest.ok("POST", maps, {"metadata": {"name": "owned", "ownerReferences": [reference]}})
    group.rest.ok("DELETE", group.path("owner"))
    until(lambda: not group.rest.ok("GET", group.path())["items"], "the dependent is gone")
    until(lambda: group.rest("GET", f"{maps}/owned")[0] == 404, "the ConfigMap is gone")
    group.create("left")
    group.rest.ok("DELETE", f"/api/v1/namespaces/{group.namespace}")
    until(lambda: group.rest("GET", f"/api/v1/namespaces/{group.namespace}")[0] == 404, "the namespace is gone")
    assert not group.rest.ok("GET", f"/apis/{group.group}/v1/widgets")["items"]


def test_quotas_count_custom_resources(group: Group) -> None:
    group.define(version())
    quotas = f"/api/v1/namespaces/{group.namespace}/resourcequotas"
    name = f"count/widgets.{group.group}"
    group.rest.ok("POST", quotas, {"metadata": {"name": "q"}, "spec": {"hard": {name: "1"}}})
    until(lambda: group.rest.ok("GET", f"{quotas}/q").get("status", {}).get("hard"), "the quota is known")
    group.create("a")
    status, refused = group.rest("POST", group.path(), group.widget("b"))
    assert status == 403
    assert "exceeded quota: q" in refused["message"]
    group.rest.ok("DELETE", group.path("a"))
    until(lambda: group.rest.ok("GET", f"{quotas}/q")["status"]["used"][name] == "0", "it is free again")


def test_roles_cover_custom_resources(group: Group) -> None:
    group.define(version())
    cluster, here = group.cluster, ("-n", group.namespace)
    cluster.kubectl("create", "role", "r", "--verb=get", f"--resource=widgets.{group.group}", *here)
    cluster.kubectl("create", "rolebinding", "r", "--role=r", "--user=jane", *here)
    group.create("a")
    assert cluster.kubectl("get", f"widgets.{group.group}", "a", "--as=jane", *here)
    denied = cluster.try_kubectl("delete", f"widgets.{group.group}", "a", "--as=jane", *here)
    assert "forbidden" in denied.stderr
    asked = cluster.try_kubectl("auth", "can-i", "list", f"widgets.{group.group}", "--as=jane", *here)
    assert asked.stdout.strip() == "no"


# FieldValidation


STRICT = "strict decoding error"


def test_unknown_fields_are_told_or_refused_as_asked(group: Group) -> None:
    group.define(version(objects(a=TEXT)))
    body = group.widget("a", spec={"a": "x", "unknown": 1})
    status, refused = group.rest("POST", group.path() + "?fieldValidation=Strict", body)
    assert (status, refused["message"]) == (
        400,
        f'Widget in version "v1" cannot be handled as a Widget: {STRICT}: unknown field "spec.unknown"',
    )
    status, warned = group.rest.warnings("POST", group.path() + "?fieldValidation=Warn&dryRun=All", body)
    assert (status, warned) == (201, ['299 - "unknown field \\"spec.unknown\\""'])
    assert group.rest.warnings("POST", group.path() + "?fieldValidation=Ignore&dryRun=All", body) == (201, [])


@pytest.mark.parametrize("schema", [objects(a=TEXT), ANYTHING], ids=["schema", "preserving"])
def test_repeated_fields_are_found(group: Group, schema: Any) -> None:
    """[sig-api-machinery] FieldValidation should detect duplicates in a CR when preserving unknown fields"""
    group.define(version(schema))
    text = json.dumps(group.widget("a", spec={"a": "x"})).replace('"a": "x"', '"a": "x", "a": "y"')
    status, refused = group.rest("POST", group.path() + "?fieldValidation=Strict", text)
    assert status == 400
    assert f'{STRICT}: duplicate field "spec.a"' in refused["message"]


def test_unknown_metadata_is_found_at_the_root_and_within(group: Group) -> None:
    """[sig-api-machinery] FieldValidation should detect unknown metadata fields in both the root and embedded object
    of a CR
    """
    template = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    group.define(version(objects(template=template)))
    inner = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "unknownSubMeta": 1}}
    body = group.widget("a", metadata={"unknownMeta": 1}, spec={"template": inner})
    status, refused = group.rest("POST", group.path() + "?fieldValidation=Strict", body)
    assert status == 400
    assert 'unknown field "metadata.unknownMeta"' in refused["message"]
    assert 'unknown field "spec.template.metadata.unknownSubMeta"' in refused["message"]


def test_apply_refuses_what_the_schema_does_not_know(group: Group) -> None:
    """[sig-api-machinery] FieldValidation should create/apply an invalid CR with extra properties for CRD with
    validation schema
    """
    group.define(version(objects(a=TEXT)))
    path = group.path("a") + "?fieldManager=me"
    status, refused = group.rest("PATCH", path, group.widget("a", spec={"b": 1}), Content_Type=APPLY)
    assert status == 500
    assert ".spec.b: field not declared in schema" in refused["message"]
    made = group.rest.ok("PATCH", path, group.widget("a", spec={"a": "x"}), Content_Type=APPLY)
    assert made["metadata"]["managedFields"][0]["fieldsV1"] == {"f:spec": {"f:a": {}}}


# CustomResourcePublishOpenAPI


def test_schemas_are_published_for_every_version_that_is_served(group: Group) -> None:
    """[sig-api-machinery] CustomResourcePublishOpenAPI works for multiple CRDs of same group but different versions"""
    group.define(version(objects(a=TEXT)), version(objects(b=TEXT), "v2", storage=False))
    other = version(objects(c=TEXT))
    group.define(other, plural="gadgets", kind="Gadget")
    first = group.document()["components"]["schemas"][group.type_name()]
    assert first["properties"]["spec"]["properties"] == {"a": TEXT}
    assert first["x-kubernetes-group-version-kind"] == [{"group": group.group, "kind": "Widget", "version": "v1"}]
    whole = group.rest.ok("GET", "/openapi/v2")["definitions"]
    assert whole[group.type_name("v2")]["properties"]["spec"]["properties"] == {"b": TEXT}
    assert whole[group.type_name(kind="Gadget")]["properties"]["spec"]["properties"] == {"c": TEXT}


def test_a_version_that_is_no_longer_served_is_no_longer_published(group: Group) -> None:
    """[sig-api-machinery] CustomResourcePublishOpenAPI removes definition from spec when one version gets changed to
    not be served
    """
    group.define(version(objects(a=TEXT)), version(objects(b=TEXT), "v2", storage=False))
    assert group.type_name("v2") in group.rest.ok("GET", "/openapi/v2")["definitions"]
    group.change(
        {"spec": {"versions": [version(objects(a=TEXT)), version(objects(b=TEXT), "v2", storage=False, served=False)]}}
    )
    index = f"apis/{group.group}/v2"
    until(lambda: index not in group.rest.ok("GET", "/openapi/v3")["paths"], "v2 is gone")
    definitions = group.rest.ok("GET", "/openapi/v2")["definitions"]
    assert group.type_name("v2") not in definitions and group.type_name() in definitions


def test_a_renamed_version_is_published_under_its_name(group: Group) -> None:
    """[sig-api-machinery] CustomResourcePublishOpenAPI updates the published spec when one version gets renamed"""
    group.define(version(objects(a=TEXT)), version(objects(a=TEXT), "v2", storage=False))
    group.change({"spec": {"versions": [version(objects(a=TEXT)), version(objects(a=TEXT), "v4", storage=False)]}})
    until(lambda: f"apis/{group.group}/v4" in group.rest.ok("GET", "/openapi/v3")["paths"], "v4 is there")
    paths = group.rest.ok("GET", "/openapi/v3")["paths"]
    assert f"apis/{group.group}/v2" not in paths
    assert group.type_name("v4") in group.document("v4")["components"]["schemas"]


def test_kinds_of_one_group_are_published_together(group: Group) -> None:
    """[sig-api-machinery] CustomResourcePublishOpenAPI works for multiple CRDs of same group and version but different
    kinds
    """
    group.define(version(objects(a=TEXT)))
    group.define(version(objects(a=TEXT)), plural="gadgets", kind="Gadget")
    schemas = group.document()["components"]["schemas"]
    assert {group.type_name(), group.type_name(kind="Gadget")} <= schemas.keys()


@pytest.mark.parametrize("binary", kubectls())
def test_kubectl_explains_validates_and_prints(group: Group, binary: str) -> None:
    documented = {**TEXT, "description": "What it is painted with."}
    columns = [
        {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1},
    ]
    schema = objects(color=documented, size=NUMBER)
    schema["description"] = "A thing of use."
    schema["properties"]["spec"]["required"] = ["color"]
    names = {"shortNames": ["wgt"]}
    group.define(version(schema, additionalPrinterColumns=columns), names=names)
    cluster, here = group.cluster, ("-n", group.namespace)
    plural = f"widgets.{group.group}"
    of = f"--api-version={group.group}/v1"
    explained = cluster.kubectl("explain", "widgets.spec.color", of, binary=binary)
    assert "What it is painted with." in explained
    assert "A thing of use." in cluster.kubectl("explain", "widgets", of, binary=binary)
    good = group.widget(
        "a", spec={"color": "red", "size": 3}, status={"conditions": [{"type": "Ready", "status": "No"}]}
    )
    cluster.kubectl("apply", "-f", "-", *here, text=json.dumps(good), binary=binary)
    bad = group.widget("b", spec={"color": "red", "bogus": 1})
    refused = cluster.try_kubectl("apply", "-f", "-", *here, text=json.dumps(bad), binary=binary)
    assert 'unknown field "spec.bogus"' in refused.stderr
    bad = group.widget("b", spec={})
    refused = cluster.try_kubectl("create", "-f", "-", *here, text=json.dumps(bad), binary=binary)
    assert "spec.color: Required value" in refused.stderr or 'missing required field "color"' in refused.stderr
    shown = cluster.kubectl("get", "wgt", *here, binary=binary).split()
    assert shown == ["NAME", "COLOR", "READY", "a", "red", "No"]
    wide = cluster.kubectl("get", plural, "-o", "wide", *here, binary=binary).split()
    assert wide == ["NAME", "COLOR", "READY", "SIZE", "a", "red", "No", "3"]
    assert "Color:" in cluster.kubectl("describe", plural, "a", *here, binary=binary)


def test_kubectl_takes_anything_where_unknown_fields_are_kept(group: Group) -> None:
    """[sig-api-machinery] CustomResourcePublishOpenAPI works for CRD without validation schema"""
    group.define(version())
    here = ("-n", group.namespace)
    body = json.dumps(group.widget("a", spec={"any": {"thing": [1]}}, more=True))
    group.cluster.kubectl("create", "-f", "-", *here, text=body)
    group.cluster.kubectl("apply", "-f", "-", *here, text=body)
    assert group.rest.ok("GET", group.path("a"))["more"] is True
    explained = group.cluster.kubectl("explain", "widgets", f"--api-version={group.group}/v1")
    assert re.search(r"KIND:\s+Widget", explained)


# Clients and operators


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Kubernetes version:UserWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_kr8s_makes_a_definition_and_objects_of_it(group: Group) -> None:
    kr8s: Any = importlib.import_module("kr8s")
    made: Any = importlib.import_module("kr8s.objects")
    api = kr8s.api(kubeconfig=str(group.cluster.kubeconfig))
    crd = made.CustomResourceDefinition(group.definition(version(objects(a=TEXT))), api=api)
    crd.create()
    group.made.append(crd.name)
    # A definition without conditions (they are null, as in Kubernetes) is too much for its `wait`.
    until(lambda: group.established(crd.name), "it is established")
    crd.refresh()
    crd.wait("condition=Established=True", timeout=120)
    Widget = made.new_class(kind="Widget", version=f"{group.group}/v1", namespaced=True, plural="widgets")
    widget = Widget({"metadata": {"name": "a", "namespace": group.namespace}, "spec": {"a": "x"}}, api=api)
    widget.create()
    widget.patch({"spec": {"a": "y"}})
    (found,) = list(api.get(f"widgets.{group.group}", namespace=group.namespace))
    assert found.spec.a == "y"
    widget.delete()
    until(lambda: not widget.exists(), "it is gone")


OPERATOR = """
import kopf
import kubernetes.client

@kopf.on.create("{group}", "v1", "widgets")
def create(spec, namespace, name, patch, **_):
    body = {{"metadata": {{"name": name, "namespace": namespace}}, "data": {{"size": str(spec["size"])}}}}
    kopf.adopt(body)
    api().create_namespaced_config_map(namespace, body)
    patch.status["made"] = True

@kopf.on.field("{group}", "v1", "widgets", field="spec.size")
def resize(old, new, namespace, name, **_):
    if old is not None:
        api().patch_namespaced_config_map(name, namespace, {{"data": {{"size": str(new)}}}})

@kopf.on.delete("{group}", "v1", "widgets")
def delete(namespace, name, **_):
    body = {{"metadata": {{"name": name + "-was-here", "namespace": namespace}}}}
    api().create_namespaced_config_map(namespace, body)

def api():
    kubernetes.config.load_kube_config()
    return kubernetes.client.CoreV1Api()
"""


def test_an_operator_written_with_kopf_does_its_work(group: Group, tmp_path: Path) -> None:
    group.define(version(objects(size=NUMBER), subresources={"status": {}}))
    (tmp_path / "operator.py").write_text(OPERATOR.format(group=group.group))
    command = [sys.executable, "-m", "kopf", "run", "-n", group.namespace, str(tmp_path / "operator.py")]
    environment = {**os.environ, "KUBECONFIG": str(group.cluster.kubeconfig)}
    maps = f"/api/v1/namespaces/{group.namespace}/configmaps"
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            group.create("a", spec={"size": 1})
            until(lambda: group.rest.ok("GET", group.path("a")).get("status", {}).get("made"), "it is made")
            assert group.rest.ok("GET", f"{maps}/a")["data"] == {"size": "1"}
            group.rest.ok("PATCH", group.path("a"), {"spec": {"size": 2}}, Content_Type=MERGE)
            until(lambda: group.rest.ok("GET", f"{maps}/a")["data"] == {"size": "2"}, "it is resized")
            assert group.rest.ok("GET", group.path("a"))["metadata"]["finalizers"]
            group.rest.ok("DELETE", group.path("a"))
            until(lambda: group.rest("GET", f"{maps}/a-was-here")[0] == 200, "its end is handled")
            until(lambda: group.rest("GET", f"{maps}/a")[0] == 404, "the dependent is collected")
        finally:
            running.terminate()
            running.wait(90)
