"""OpenAPI v2: the same types without what v2 cannot say; its protobuf form can be read back."""

from __future__ import annotations

from typing import Any

from knarr.api.openapi import document, gnostic, roots, v2
from knarr.api.openapi.stream import whole
from knarr.api.registry import RESOURCES

from . import published

APPS = [resource for resource in RESOURCES if resource.group == "apps"]
DOCUMENT = v2.document(lambda: [document.items("apis/apps/v1", APPS)])
WHOLE = whole(DOCUMENT)


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
    document_fields = dict(fields(b"".join(gnostic.encode(DOCUMENT))))
    assert document_fields[1] == b"2.0"
    named = {dict(fields(pair))[1].decode(): dict(fields(pair))[2] for _, pair in fields(document_fields[9])}
    assert set(named) == set(WHOLE["definitions"])
    extensions = [value for number, value in fields(named["io.k8s.api.apps.v1.Deployment"]) if number == 31]
    name, value = fields(extensions[0])
    assert name[1] == b"x-kubernetes-group-version-kind"
    assert b"kind: Deployment" in value[1]


def test_the_binary_form_refers_to_shared_parameters() -> None:
    document_fields = dict(fields(b"".join(gnostic.encode(DOCUMENT))))
    shared = {dict(fields(pair))[1].decode() for _, pair in fields(document_fields[10])}
    assert shared == set(WHOLE["parameters"])
    paths = {dict(fields(pair))[1].decode(): dict(fields(pair))[2] for _, pair in fields(document_fields[8])}
    items = [value for number, value in fields(paths["/apis/apps/v1/watch/deployments"]) if number == 9]
    assert [dict(fields(dict(fields(item))[2]))[1] for item in items[:1]] == [
        b"#/parameters/allowWatchBookmarks-HC2hJt-J"
    ]


@published.needed
def test_the_document_is_the_published_one() -> None:
    parts: dict[str, list[Any]] = {name: [] for name in roots.NAMES}
    for resource in RESOURCES:
        if resource.group:
            parts.setdefault(f"apis/{resource.group}", [])
        parts.setdefault(resource.prefix[1:], []).append(resource)
    made = published.bare(whole(v2.document(lambda: (document.items(*part) for part in parts.items()))))
    # The published one has every version switched on; the recorded server has the default ones.
    wanted, default = published.reference("v2"), published.recorded("v2")["body"]
    for section in ("paths", "definitions"):
        wanted[section] = {key: wanted[section][key] for key in default[section]}
        for key in made[section].keys() | wanted[section].keys():
            assert made[section].get(key) == wanted[section].get(key), key
    del wanted["parameters"]["logpath-Noq7euwC"]
    assert made == wanted
