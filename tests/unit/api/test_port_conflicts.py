"""Conflicting container ports are found among many as if each were compared with each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from knarr.api.validation.pod.warnings import _Ports
from knarr.apimachinery.types import Object

_port = st.fixed_dictionaries(
    {"containerPort": st.integers(1, 2), "protocol": st.sampled_from(["TCP", "UDP"])},
    optional={"hostPort": st.integers(1, 2), "hostIP": st.sampled_from(["a"])},
)


def _compared(port: Object, path: str, seen: list[tuple[Object, str, int]], container: int) -> list[str]:
    for other, where, of in seen:
        if (other["protocol"], other["containerPort"]) != (port["protocol"], port["containerPort"]):
            continue
        host, theirs = port.get("hostPort", 0), other.get("hostPort", 0)
        if host == theirs and (of == container or host == 0):
            return [f"{path}: duplicate port definition with {where}"]
        if of == container and 0 in (host, theirs):
            return [f"{path}: overlapping port definition with {where}"]
    return []


@given(st.lists(st.lists(_port, max_size=5), max_size=4))
def test_conflicts(containers: list[list[Object]]) -> None:
    ports, seen = _Ports(), list[tuple[Object, str, int]]()
    for at, container in enumerate(containers):
        for index, port in enumerate(container):
            path = f"{at}/{index}"
            assert ports.conflicts(port, path, at) == _compared(port, path, seen, at)
            seen.append((port, path, at))
