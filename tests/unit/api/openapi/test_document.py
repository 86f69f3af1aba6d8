"""OpenAPI v3: whole documents agree with themselves and, where it is at hand, with the published ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from knarr.api.openapi.document import document
from knarr.api.registry import RESOURCES

REFERENCE = Path(__file__).parents[5] / "shared" / "reference" / "openapi"
APPS = [resource for resource in RESOURCES if resource.group == "apps"]


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(each) for each in value.values()))
    return set().union(*(references(each) for each in value)) if isinstance(value, list) else set()


def bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: bare(each) for key, each in value.items() if not (key == "description" and isinstance(each, str))}
    return [bare(each) for each in value] if isinstance(value, list) else value


def test_every_reference_has_its_schema() -> None:
    made = document(APPS)
    named = {f"#/components/schemas/{name}" for name in made["components"]["schemas"]}
    assert references(made) <= named


def test_fields_are_described() -> None:
    schemas = document(APPS)["components"]["schemas"]
    strategy = schemas["io.k8s.api.apps.v1.DeploymentStrategy"]
    assert "type" in strategy["properties"]["type"]["description"].lower()
    assert strategy["description"].startswith("DeploymentStrategy")


def test_writes_say_that_they_check_fields() -> None:
    patch = document(APPS)["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the published documents are not beside this checkout")
def test_operations_and_types_are_the_published_ones() -> None:
    published = bare(json.loads(gzip.decompress((REFERENCE / "apis__apps__v1_openapi.json.gz").read_bytes())))
    made = bare(json.loads(json.dumps(document(APPS))))
    assert set(published["paths"]) - set(made["paths"]) <= {"/apis/apps/v1/"}
    for path, operations in made["paths"].items():
        assert operations == published["paths"][path], path
    schemas = published["components"]["schemas"]
    assert set(made["components"]["schemas"]) == set(schemas)
    for name, schema in made["components"]["schemas"].items():
        if name.startswith("io.k8s.api."):
            assert schema == schemas[name], name
