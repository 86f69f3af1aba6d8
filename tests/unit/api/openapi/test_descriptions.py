"""Descriptions: read from wrapped docstrings, paragraphs whole again."""

from __future__ import annotations

from typing import Any

from knarr.api.openapi.descriptions import describe


def test_wrapped_lines_are_joined_and_paragraphs_stay_apart() -> None:
    schema: dict[str, Any] = {"properties": {"claims": {}, "limits": {}}}
    describe("io.k8s.api.core.v1.ResourceRequirements", schema)
    first, second, third = schema["properties"]["claims"]["description"].split("\n\n")
    assert first.endswith("spec.resourceClaims, that are used by this container.")
    assert second == "This field depends on the DynamicResourceAllocation feature gate."
    assert third == "This field is immutable. It can only be set for containers."
    assert "\n" not in schema["properties"]["limits"]["description"]


def test_indented_examples_keep_their_lines() -> None:
    schema: dict[str, Any] = {"properties": {"namespaceSelector": {}}}
    describe("io.k8s.api.admissionregistration.v1.MutatingWebhook", schema)
    assert '\n  "matchExpressions": [\n    {' in schema["properties"]["namespaceSelector"]["description"]


def test_what_has_no_description_stays_as_it_is() -> None:
    schema: dict[str, Any] = {"properties": {}}
    describe("io.example.v1.Nothing", schema)
    assert schema == {"properties": {}}
