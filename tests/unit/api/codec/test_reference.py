"""The codec against objects that Kubernetes' own tests keep for every kind."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from knarr.api import codec

OBJECTS = Path(__file__).parents[4].parent / "shared" / "reference" / "roundtrip"


@pytest.mark.skipif(not OBJECTS.is_dir(), reason="the reference objects are not here")
def test_every_reference_object_stays_as_it_is() -> None:
    checked = 0
    for path in sorted(OBJECTS.glob("*.json")):
        data = path.read_bytes()
        obj = orjson.loads(data)
        api_version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
        if codec.type_of(api_version, kind) is None:
            continue
        assert codec.decode(api_version, kind, data) == codec.Decoded(obj), path.name
        assert codec.normalise(api_version, kind, obj) == codec.Decoded(obj), path.name
        checked += 1
    assert checked >= 100
