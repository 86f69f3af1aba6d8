from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.wire import protobuf
from knarr.wire.protobuf_tables import Field, Message


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _bytes(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


_INNER = Message({1: Field("name", "optional", "string")})
_OUTER = Message(
    {
        1: Field("text", "optional", "string"),
        2: Field("count", "optional", "int64"),
        3: Field("items", "repeated", "int32"),
        4: Field("labels", "map", "string"),
        5: Field("", "optional", "", lambda: _INNER),
        6: Field("inner", "repeated", "", lambda: _INNER),
    }
)


@given(
    st.text(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.lists(st.integers(-(1 << 31), (1 << 31) - 1), min_size=1),
    st.dictionaries(st.text(), st.text(), min_size=1),
)
def test_what_is_written_is_read(text: str, count: int, items: list[int], labels: dict[str, str]) -> None:
    data = _bytes(1, text.encode()) + _number(2, count)
    data += b"".join(_number(3, item) for item in items)
    data += b"".join(_bytes(4, _bytes(1, key.encode()) + _bytes(2, value.encode())) for key, value in labels.items())
    data += _bytes(99, b"not known")
    wanted: dict[str, Any] = {"text": text, "count": count, "items": items, "labels": labels}
    assert protobuf.decode(data, _OUTER) == wanted
    packed = _bytes(3, b"".join(_varint(item) for item in items))
    assert protobuf.decode(packed, _OUTER) == {"items": items}


def test_embedded_messages_belong_to_the_outer_one() -> None:
    data = _bytes(5, _bytes(1, b"a")) + _bytes(6, _bytes(1, b"b")) + _bytes(6, b"")
    assert protobuf.decode(data, _OUTER) == {"name": "a", "inner": [{"name": "b"}, {}]}


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        protobuf.decode(data, _OUTER)
    except ValueError:
        return


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\x0b", b"\x10" + b"\xff" * 10, b"\x09\x00"])
def test_cut_and_wrong_messages_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"EOF|wireType|overflow"):
        protobuf.decode(data, _OUTER)
