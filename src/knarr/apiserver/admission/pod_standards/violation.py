"""What all controls of the Pod Security Standards share: their result, their wording, and a pod's containers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from knarr.apimachinery.types import Object


class Violation(NamedTuple):
    """Why a control forbids a pod: a short reason, and what in the pod it is about (may be empty)."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


#: A control: (the pod's metadata, its spec) → what it forbids, or None.
Control: TypeAlias = Callable[[Object, Object], Violation | None]


def containers(spec: Object) -> list[Object]:
    """Init containers, containers, ephemeral containers."""
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [container for kind in kinds for container in spec.get(kind) or ()]


def context(holder: Object, field: str) -> Any:
    """A field of the security context of a pod's spec or of a container, or None."""
    return (holder.get("securityContext") or {}).get(field)


def names_of(found: Iterable[Object]) -> list[str]:
    """The names of containers or volumes."""
    return [item.get("name", "") for item in found]


def quoted(items: Iterable[str]) -> str:
    """`"a", "b"`."""
    return ", ".join(f'"{item}"' for item in items)


def plural(noun: str, count: int) -> str:
    """The noun with an `s` unless there is one of it."""
    return noun if count == 1 else f"{noun}s"


def use(count: int) -> str:
    """`uses` for one, `use` for several."""
    return "uses" if count == 1 else "use"


def counted(noun: str, names: list[str]) -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{plural(noun, len(names))} {quoted(names)}"


def setters(*, pod: bool, names: list[str]) -> str:
    """Who sets something: `pod`, `container "a"`, `pod and container "a"`; empty for nobody."""
    return " and ".join([*(["pod"] if pod else []), *([counted("container", names)] if names else [])])


def is_windows(spec: Object) -> bool:
    """Whether a pod says that it runs on Windows."""
    return (spec.get("os") or {}).get("name") == "windows"


def has_own_users(spec: Object) -> bool:
    """Whether a pod runs in a user namespace of its own: its root is not the node's."""
    return spec.get("hostUsers") is False
