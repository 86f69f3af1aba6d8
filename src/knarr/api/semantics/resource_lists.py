"""Arithmetic of resource lists with exact quantities that keep the format they were written in.

A list maps resource names to quantities. No function changes what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import TypeAlias

from knarr.apimachinery import quantity
from knarr.apimachinery.quantity import ZERO, Quantity

Resources: TypeAlias = Mapping[str, Quantity]


def parsed(listed: Mapping[str, object] | None) -> dict[str, Quantity]:
    """A `ResourceList` of a manifest. Raises `ValueError`."""
    return {name: quantity.from_json(value) for name, value in (listed or {}).items()}


def shown(listed: Resources) -> dict[str, str]:
    """A list as it stands in an object."""
    return {name: str(value) for name, value in listed.items()}


def text(listed: Resources) -> str:
    """`cpu=1,memory=1Gi`, by name."""
    return ",".join(f"{name}={listed[name]}" for name in sorted(listed))


def added(one: Resources, other: Resources) -> dict[str, Quantity]:
    """The sum; a resource that stands in one list alone counts as it is."""
    return _joined(one, other, lambda left, right: left + right)


def largest(one: Resources, other: Resources) -> dict[str, Quantity]:
    """The larger quantity of each resource."""
    return _joined(one, other, max)


def grown(new: Resources, old: Resources) -> dict[str, Quantity]:
    """By how much each resource has grown; what shrank or stayed is left out."""
    differences = {name: value - old[name] if name in old else value for name, value in new.items()}
    return {name: value for name, value in differences.items() if value.sign > 0}


def only(listed: Resources, names: Container[str]) -> dict[str, Quantity]:
    """The resources of these names."""
    return {name: value for name, value in listed.items() if name in names}


def beyond(used: Resources, hard: Resources) -> list[str]:
    """The names of what is used beyond its limit."""
    return [name for name, limit in hard.items() if name in used and limit < used[name]]


def zeros(names: Iterable[str]) -> dict[str, Quantity]:
    """Nothing of each."""
    return dict.fromkeys(names, ZERO)


def _joined(one: Resources, other: Resources, join: Callable[[Quantity, Quantity], Quantity]) -> dict[str, Quantity]:
    out = dict(one)
    for name, value in other.items():
        out[name] = join(out[name], value) if name in out else value
    return out
