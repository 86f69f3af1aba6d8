"""Paths into objects, as stages select by them: `.status.conditions[type=Ready].status`, `.metadata.finalizers[]`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

_STEP = re.compile(
    r"\.?\"(?P<quoted>[^\"]+)\""
    r"|\.?(?P<name>[^.\[\]\"]+)"
    r"|\.?(?P<list>\[(?P<key>[^=\]]*)(?:=(?P<value>[^\]]*))?\])"
)


class Step(NamedTuple):
    """One step: into a field, or into the elements of a list (all, or those whose `name` has `value`)."""

    name: str
    in_list: bool = False
    value: str = ""


def parse(text: str) -> tuple[Step, ...]:
    """The steps of a path. Raises `ValueError` for one that is none."""
    steps, position = [], 0
    while position < len(text):
        found = _STEP.match(text, position)
        if not found:
            raise ValueError(f"{text!r} is no path: expected something like .status.conditions[type=Ready].status")
        position = found.end()
        if found["list"]:
            steps.append(Step(found["key"] or "", in_list=True, value=found["value"] or ""))
        else:
            steps.append(Step(found["quoted"] or found["name"]))
    if not steps:
        raise ValueError("a path must not be empty")
    return tuple(steps)


def values(obj: Any, steps: Sequence[Step]) -> Iterator[Any]:
    """Whatever stands at a path; nothing where a step leads nowhere."""
    if not steps:
        yield obj
        return
    step, rest = steps[0], steps[1:]
    if step.in_list:
        for each in obj if isinstance(obj, list) else ():
            if not step.name or (isinstance(each, dict) and str(each.get(step.name)) == step.value):
                yield from values(each, rest)
    elif isinstance(obj, dict) and obj.get(step.name) is not None:
        yield from values(obj[step.name], rest)
