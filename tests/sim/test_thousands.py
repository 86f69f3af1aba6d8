"""Every simulation again with thousands of other seeds: for `scripts/test --long`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.sim import faults

#: Seeds beyond those that every run tries.
MORE = 2000
Story: TypeAlias = Callable[..., None]


def stories() -> Iterator[Story]:
    """The tests of this folder that are divided into parts."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path.name != Path(__file__).name:
            module = importlib.import_module(f"tests.sim.{path.stem}")
            for name, found in inspect.getmembers(module, inspect.isfunction):
                if name.startswith("test_") and "part" in inspect.signature(found).parameters:
                    yield found


@pytest.mark.long
@pytest.mark.parametrize("part", range(faults.PARTS))
@pytest.mark.parametrize("story", list(stories()), ids=lambda story: str(story.__name__))
def test_it_holds_for_thousands_of_seeds(story: Story, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(inspect.signature(story).parameters) == ["part"], "a simulation's test takes its part and nothing else"
    monkeypatch.setattr(faults, "FIRST", faults.SEEDS)
    monkeypatch.setattr(faults, "SEEDS", faults.SEEDS + MORE)
    story(part)
