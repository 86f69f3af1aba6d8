"""What holds for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure: how long things take is measured in `bench/`.
settings.register_profile("knarr", deadline=None)
settings.load_profile("knarr")

#: Tests of real processes, sockets and containers.
_REAL = tuple(Path(__file__).parent / name for name in ("component", "e2e"))


def pytest_itemcollected(item: pytest.Item) -> None:
    """What real processes do hangs on the machine too: a failure must show twice. The summary counts the reruns."""
    if any(folder in item.path.parents for folder in _REAL):
        item.add_marker(pytest.mark.flaky(reruns=1))
