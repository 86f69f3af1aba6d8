"""The specification's entries about what schemas of custom resources say to kubectl, and how objects fit them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, kubectls, until
from tests.e2e.rest import Rest

pytestmark = pytest.mark.rootless
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
APPLY = "application/apply-patch+yaml"
KEEPING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
FOO = {
    "type": "object",
    "description": "Foo CRD for Testing",
    "properties": {
        "spec": {
            "type": "object",
            "description": "Specification of Foo",
            "properties": {
                "bars": {
                    "type": "array",
                    "description": "List of Bars and their specs.",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string", "description": "Name of Bar."},
                            "age": {"type": "string", "description": "Age of Bar."},
                            "feeling": {"type": "string", "enum": ["Great", "Down"]},
                        },
                    },
                }
            },
        }
    },
}


_NUMBERS = itertools.count()


class Foos:
    """Foos of one group, in the default namespace."""

    def __init__(self, cluster: Cluster, group: str) -> None:
        self.cluster, self.rest, self.group = cluster, Rest(cluster.kubeconfig), group

    def define(self, schema: Any) -> None:
        """Make the definition, and wait until it is published."""
        spec = {
            "group": self.group,
            "scope": "Namespaced",
            "names": {"plural": "foos", "kind": "Foo"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        }
        self.rest.ok("POST", CRDS, {"metadata": {"name": f"foos.{self.group}"}, "spec": spec})
        until(lambda: f"apis/{self.group}/v1" in self.rest.ok("GET", "/openapi/v3")["paths"], "it is published")

    def foo(self, **members: Any) -> Any:
        return {"apiVersion": f"{self.group}/v1", "kind": "Foo", "metadata": {"name": "test"}, **members}

    def take(self, binary: str, **members: Any) -> Any:
        """Create, apply and delete a Foo with kubectl, which judges it first; gives what is stored."""
        body, name = json.dumps(self.foo(**members)), f"foos.{self.group}"
        for verb in ("create", "apply"):
            self.cluster.kubectl(verb, "-f", "-", text=body, binary=binary)
            found = self.cluster.json("get", name, "test")
            self.cluster.kubectl("delete", name, "test", binary=binary)
        return found

    def refused(self, binary: str, **members: Any) -> str:
        """What kubectl says of a Foo that neither create nor apply takes."""
        for verb in ("create", "apply"):
            done = self.cluster.try_kubectl(verb, "-f", "-", text=json.dumps(self.foo(**members)), binary=binary)
            assert done.returncode != 0, done.stdout
        return done.stderr

    def explained(self, field: str, binary: str) -> str:
        """What kubectl tells of a field, or of the whole."""
        return self.cluster.kubectl("explain", f"foos{field}", f"--api-version={self.group}/v1", binary=binary)


@pytest.fixture
def foos(api_only: Cluster, request: pytest.FixtureRequest) -> Iterator[Foos]:
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    # A definition goes some time after it is told to: the next one has another name.
    made = Foos(api_only, f"{name}-{next(_NUMBERS)}.example.com")
    yield made
    made.rest("DELETE", f"{CRDS}/foos.{made.group}")


# CustomResourcePublishOpenAPI


@pytest.mark.parametrize("binary", kubectls())
def test_a_schema_is_known_to_kubectl(foos: Foos, binary: str) -> None:
    """[sig-api-machinery] CustomResourcePublishOpenAPI works for CRD with validation schema"""
    foos.define(FOO)
    foos.take(binary, spec={"bars": [{"name": "a", "age": "10", "feeling": "Great"}]})
    assert 'unknown field "spec.unknown"' in foos.refused(binary, spec={"unknown": 1})
    assert "spec.bars[0].name" in foos.refused(binary, spec={"bars": [{"age": "10"}]})
    assert "Unsupported value" in foos.refused(binary, spec={"bars": [{"name": "a", "feeling": "NonExistent"}]})
    assert "Foo CRD for Testing" in foos.explained("", binary)
    assert "Standard object's metadata" in foos.explained(".metadata", binary)
    assert "List of Bars and their specs" in foos.explained(".spec", binary)
    assert re.search("name.*-required-", foos.explained(".spec.bars", binary))
    of = ("explain", "foos.spec.bars2", f"--api-version={foos.group}/v1")
    assert 'field "bars2" does not exist' in foos.cluster.try_kubectl(*of, binary=binary).stderr


@pytest.mark.parametrize("binary", kubectls())
@pytest.mark.parametrize("where", ["root", "embedded"])
def test_kubectl_takes_fields_that_are_kept(foos: Foos, binary: str, where: str) -> None:
    """[sig-api-machinery] CustomResourcePublishOpenAPI works for CRD preserving unknown fields at the schema root
    [sig-api-machinery] CustomResourcePublishOpenAPI works for CRD preserving unknown fields in an embedded object
    """
    unknown = {"unknown": "x", "deep": {"er": [1]}}
    if where == "root":
        foos.define(KEEPING)
        assert unknown.items() <= foos.take(binary, **unknown).items()
    else:
        embedded = {**KEEPING, "x-kubernetes-embedded-resource": True, "description": "Anything with a head"}
        foos.define({"type": "object", "properties": {"spec": embedded, "status": KEEPING}})
        inner = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "inner"}, **unknown}
        assert foos.take(binary, spec=inner, status=unknown)["spec"] == inner
        assert "Anything with a head" in foos.explained(".spec", binary)
    assert re.search(r"KIND:\s+Foo", foos.explained("", binary))


def test_definitions_of_two_groups_are_published_side_by_side(foos: Foos) -> None:
    """[sig-api-machinery] CustomResourcePublishOpenAPI works for multiple CRDs of different groups"""
    other = Foos(foos.cluster, f"other.{foos.group}")
    try:
        foos.define(FOO)
        other.define(KEEPING)
        for one in (foos, other):
            name = ".".join([*reversed(one.group.split(".")), "v1", "Foo"])
            assert name in one.rest.ok("GET", f"/openapi/v3/apis/{one.group}/v1")["components"]["schemas"]
            assert name in one.rest.ok("GET", "/openapi/v2")["definitions"]
    finally:
        other.rest("DELETE", f"{CRDS}/foos.{other.group}")


# FieldValidation


@pytest.mark.parametrize("schema", [FOO, KEEPING], ids=["schema", "none"])
def test_what_fits_is_taken_strictly(foos: Foos, schema: Any) -> None:
    """[sig-api-machinery] FieldValidation should create/apply a valid CR for CRD with validation schema
    [sig-api-machinery] FieldValidation should create/apply a CR with unknown fields for CRD with no validation
    schema
    """
    foos.define(schema)
    members = {"spec": {"bars": [{"name": "a"}]}} if schema is FOO else {"spec": {"x": 1}, "unknown": {"y": [2]}}
    path = f"/apis/{foos.group}/v1/namespaces/default/foos"
    made = foos.rest.ok("POST", f"{path}?fieldValidation=Strict", foos.foo(**members))
    applied = json.dumps({**foos.foo(**members), "metadata": {"name": "applied"}})
    strictly = f"{path}/applied?fieldManager=tests&fieldValidation=Strict"
    found = foos.rest.ok("PATCH", strictly, applied, Content_Type=APPLY)
    assert {key: found[key] for key in members} == {key: made[key] for key in members} == members
    twice = applied.replace('"spec": {', '"spec": {"a": 1, "a": 2, ')
    status, told = foos.rest("PATCH", strictly, twice, Content_Type=APPLY)
    assert status == 400
    assert "already set in map" in told["message"] or "duplicate field" in told["message"]


def test_owners_follow_a_list_that_becomes_granular(foos: Foos) -> None:
    foos.define(FOO)
    path = f"/apis/{foos.group}/v1/namespaces/default/foos"
    foos.rest.ok("POST", f"{path}?fieldManager=maker", foos.foo(spec={"bars": [{"name": "a"}, {"name": "b"}]}))
    schema = json.loads(json.dumps(FOO))
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    schema["properties"]["spec"]["properties"]["bars"].update(keyed)
    change = [{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": schema}]
    crd = f"{CRDS}/foos.{foos.group}"
    foos.rest.ok("PATCH", crd, change, Content_Type="application/json-patch+json")

    def applied() -> Any:
        config = json.dumps(foos.foo(spec={"bars": [{"name": "b", "age": "1"}]}))
        found = foos.rest.ok("PATCH", f"{path}/test?fieldManager=other", config, Content_Type=APPLY)
        return found if len(found["spec"]["bars"]) == 2 else None

    found = until(applied, "the list is granular")
    owned = {one["manager"]: one["fieldsV1"]["f:spec"]["f:bars"] for one in found["metadata"]["managedFields"]}
    items: Any = {'k:{"name":"a"}': {".": {}, "f:name": {}}, 'k:{"name":"b"}': {".": {}, "f:name": {}}}
    assert owned["maker"] == {".": {}, **items}
    assert owned["other"] == {'k:{"name":"b"}': {".": {}, "f:age": {}, "f:name": {}}}
