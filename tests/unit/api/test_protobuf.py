from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from knarr.api import codec, protobuf, registry

OBJECTS = Path(__file__).parents[3].parent / "shared" / "reference" / "roundtrip"
_KINDS = {(item.api_version, item.kind) for item in registry.RESOURCES}


@pytest.mark.skipif(not OBJECTS.exists(), reason="the published objects are not at hand")
def test_messages_are_the_objects_they_stand_for() -> None:
    seen = 0
    for path in sorted(OBJECTS.glob("*.pb")):
        body = protobuf.open_envelope(path.read_bytes())
        if (body.api_version, body.kind) not in _KINDS:
            continue
        found = protobuf.plain(protobuf.decode(body.api_version, body.kind, body.raw))
        wanted = orjson.loads(path.with_suffix(".json").read_bytes())
        assert (
            codec.normalise(body.api_version, body.kind, found).object
            == codec.normalise(body.api_version, body.kind, wanted).object
        )
        seen += 1
    assert seen > 50


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
