"""OpenAPI v2: the same types without what v2 cannot say; its protobuf form can be read back."""

from __future__ import annotations

from typing import Any

from knarr.api.openapi import gnostic, v2
from knarr.api.openapi.document import document
from knarr.api.registry import RESOURCES

WHOLE = v2.convert([document([resource for resource in RESOURCES if resource.group == "apps"])])


def fields(data: bytes) -> list[tuple[int, Any]]:
    """The fields of a protobuf message: (number, bytes or int)."""
    out: list[tuple[int, Any]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            out.append((key >> 3, varint()))
            continue
        assert key & 7 == 2
        length = varint()
        out.append((key >> 3, data[at : at + length]))
        at += length
    return out


def test_references_are_bare_and_defaults_are_left_out() -> None:
    spec = WHOLE["definitions"]["io.k8s.api.apps.v1.Deployment"]["properties"]["spec"]
    assert spec["$ref"] == "#/definitions/io.k8s.api.apps.v1.DeploymentSpec"
    assert "default" not in spec
    assert WHOLE["definitions"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["type"] == "string"


def test_bodies_are_parameters() -> None:
    operation = WHOLE["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments"]["post"]
    body = operation["parameters"][0]
    assert (body["in"], body["required"]) == ("body", True)
    assert body["schema"] == {"$ref": "#/definitions/io.k8s.api.apps.v1.Deployment"}


def test_the_binary_form_names_every_definition_and_its_kind() -> None:
    document_fields = dict(fields(gnostic.encode(WHOLE)))
    assert document_fields[1] == b"2.0"
    named = {dict(fields(pair))[1].decode(): dict(fields(pair))[2] for _, pair in fields(document_fields[9])}
    assert set(named) == set(WHOLE["definitions"])
    extensions = [value for number, value in fields(named["io.k8s.api.apps.v1.Deployment"]) if number == 31]
    name, value = fields(extensions[0])
    assert name[1] == b"x-kubernetes-group-version-kind"
    assert b"kind: Deployment" in value[1]
