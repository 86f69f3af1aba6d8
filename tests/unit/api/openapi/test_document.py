"""OpenAPI v3: documents agree with themselves and, where they are at hand, with the published ones."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.openapi import roots
from knarr.api.openapi.document import document
from knarr.api.openapi.stream import whole
from knarr.api.registry import RESOURCES
from knarr.api.resources import Resource

from . import published

APPS = [resource for resource in RESOURCES if resource.group == "apps"]
#: The published set has no document of the token issuer.
NAMES = sorted({
    *(name for name in roots.NAMES if not name.startswith(".")),
    *(f"apis/{resource.group}" for resource in RESOURCES if resource.group),
    *(resource.prefix[1:] for resource in RESOURCES),
})  # fmt: skip


def resources(name: str) -> list[Resource]:
    return [resource for resource in RESOURCES if resource.prefix[1:] == name]


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(each) for each in value.values()))
    return set().union(*(references(each) for each in value)) if isinstance(value, list) else set()


def test_every_reference_has_its_schema() -> None:
    made = whole(document("apis/apps/v1", APPS))
    named = {f"#/components/schemas/{name}" for name in made["components"]["schemas"]}
    assert references(made) <= named


def test_fields_are_described() -> None:
    schemas = whole(document("apis/apps/v1", APPS))["components"]["schemas"]
    strategy = schemas["io.k8s.api.apps.v1.DeploymentStrategy"]
    assert "type" in strategy["properties"]["type"]["description"].lower()
    assert strategy["description"].startswith("DeploymentStrategy")


def test_writes_say_that_they_check_fields() -> None:
    paths = whole(document("apis/apps/v1", APPS))["paths"]
    patch = paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}


@published.needed
@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_the_published_one(name: str) -> None:
    made = published.bare(whole(document(name, resources(name))))
    wanted = published.reference(f"{name.replace('/', '__')}_openapi")
    for section in ("paths", "components"):
        for key in made[section].keys() | wanted[section].keys():
            assert made[section].get(key) == wanted[section].get(key), key
    assert made == wanted
