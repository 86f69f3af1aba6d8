from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from knarr.api import codec, protobuf, registry
from knarr.apimachinery.errors import not_found

OBJECTS = Path(__file__).parents[3].parent / "shared" / "reference" / "roundtrip"
_KINDS = {(item.api_version, item.kind) for item in registry.RESOURCES}


@pytest.mark.skipif(not OBJECTS.exists(), reason="the published objects are not at hand")
def test_messages_are_the_objects_they_stand_for() -> None:
    seen = 0
    for path in sorted(OBJECTS.glob("*.pb")):
        body = protobuf.open_envelope(path.read_bytes())
        if (body.api_version, body.kind) not in _KINDS:
            continue
        found = protobuf.decode(body.api_version, body.kind, body.raw)
        wanted = orjson.loads(path.with_suffix(".json").read_bytes())
        assert (
            codec.normalise(body.api_version, body.kind, found).object
            == codec.normalise(body.api_version, body.kind, wanted).object
        )
        seen += 1
    assert seen > 50


@pytest.mark.skipif(not OBJECTS.exists(), reason="the published objects are not at hand")
def test_what_is_written_is_read_again() -> None:
    seen = 0
    for path in sorted(OBJECTS.glob("*.json")):
        wanted = orjson.loads(path.read_bytes())
        if (wanted.get("apiVersion"), wanted.get("kind")) not in _KINDS:
            continue
        wanted = codec.normalise(wanted["apiVersion"], wanted["kind"], wanted).object
        body = protobuf.open_envelope(protobuf.encode(wanted))
        found = protobuf.decode(body.api_version, body.kind, body.raw)
        assert codec.normalise(body.api_version, body.kind, found).object == wanted, path.name
        seen += 1
    assert seen > 50


def test_a_status_is_written_as_go_writes_it() -> None:
    status = not_found("configmaps", "", "cm").status()
    assert protobuf.encode(status) == (
        b'k8s\0\n\x0c\n\x02v1\x12\x06Status\x12Q\n\x06\n\0\x12\0\x1a\0\x12\x07Failure\x1a\x19configmaps "cm" not found'
        b'"\x08NotFound*\x16\n\x02cm\x12\0\x1a\nconfigmaps(\0002\x000\x94\x03\x1a\0"\0'
    )


def test_schemas_keep_the_names_that_json_gives_them() -> None:
    schema = {
        "$ref": "a",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-int-or-string": True,
        "additionalProperties": False,
    }
    obj = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]},
    }
    body = protobuf.open_envelope(protobuf.encode(obj))
    assert protobuf.decode(body.api_version, body.kind, body.raw) == obj


def test_a_small_object_by_hand() -> None:
    meta = b"\x0a\x02cm"
    raw = b"\x0a" + bytes([len(meta)]) + meta + b"\x12\x06\x0a\x01k\x12\x01v"
    head = b"\x0a\x02v1\x12\x09ConfigMap"
    data = protobuf.MAGIC + b"\x0a" + bytes([len(head)]) + head + b"\x12" + bytes([len(raw)]) + raw
    body = protobuf.open_envelope(data)
    assert (body.api_version, body.kind) == ("v1", "ConfigMap")
    assert protobuf.decode(body.api_version, body.kind, body.raw) == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "cm"},
        "data": {"k": "v"},
    }


@pytest.mark.parametrize("data", [b"", b"{}", protobuf.MAGIC + b"\x0a\x05"])
def test_other_bytes_are_no_envelope(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"protobuf message|EOF"):
        protobuf.open_envelope(data)


@pytest.mark.parametrize("seconds", [2**62, 2**40, -(2**40)])
def test_a_time_that_no_calendar_knows_is_bad_input(seconds: int) -> None:
    rest, digits = seconds % 2**64, b""
    while rest > 0x7F:
        rest, digits = rest >> 7, digits + bytes([rest & 0x7F | 0x80])
    moment = b"\x08" + digits + bytes([rest])
    meta = b"\x42" + bytes([len(moment)]) + moment
    with pytest.raises(ValueError, match="no time of ours"):
        protobuf.decode("v1", "ConfigMap", b"\x0a" + bytes([len(meta)]) + meta)


def test_every_list_has_metadata_and_items_first() -> None:
    for resource in registry.RESOURCES:
        if "list" in resource.verbs:
            kind = f"{resource.kind}List"
            named: list[dict[str, Any]] = [{"metadata": {"name": name}} for name in "ab"]
            items = [protobuf.message(obj, resource.api_version, resource.kind) for obj in named]
            raw = protobuf.list_message({"resourceVersion": "7"}, items)
            found = protobuf.decode(resource.api_version, kind, raw)
            assert found["metadata"]["resourceVersion"] == "7", kind
            assert [item["metadata"]["name"] for item in found["items"]] == ["a", "b"], kind
