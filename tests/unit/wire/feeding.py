"""Ways to hand the same bytes to a codec: it must not matter how the network cut them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from hypothesis import strategies as st


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    marks: Sequence[int] = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(marks) if end > start]


places = st.lists(st.integers(min_value=0, max_value=1 << 16), max_size=8)
