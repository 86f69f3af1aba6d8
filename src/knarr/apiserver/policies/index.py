"""Which policies are in force: each with the bindings that name it.

Input: the objects of the watch cache. A policy without a binding does nothing, nor does a binding without a policy.
Kubernetes promises no order of policies; here it is that of their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.watch_cache import Change, Collection

GROUP = "admissionregistration.k8s.io"
#: What a policy is made into once: its compiled form.
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Hook(Generic[P]):
    """A policy in force, and its bindings by name."""

    policy: P
    bindings: tuple[Object, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """The plural names of policies and their bindings."""

    policies: str
    bindings: str


VALIDATING = Names("validatingadmissionpolicies", "validatingadmissionpolicybindings")
MUTATING = Names("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")


class PolicyIndex(Generic[P]):
    """The policies of one kind; listens to the watch cache. What was compiled stays as long as the policy."""

    def __init__(self, reader: Reader, names: Names, compiled: Callable[[Object], P]) -> None:
        self._reader = reader
        self._names = names
        self._plurals = frozenset((names.policies, names.bindings))
        self._compiled = compiled
        self._known: dict[tuple[str, str], P] = {}
        self._hooks: tuple[Hook[P], ...] | None = None

    def on_change(self, collection: Collection, _change: Change) -> None:
        """Look anew after a change of policies or bindings."""
        resource = collection.resource
        if resource.group == GROUP and resource.plural in self._plurals:
            self._hooks = None

    def hooks(self) -> tuple[Hook[P], ...]:
        """The policies in force, by name."""
        if self._hooks is None:
            self._hooks = self._load()
        return self._hooks

    def _load(self) -> tuple[Hook[P], ...]:
        bindings = _by_policy(self._reader.list(self._names.bindings, GROUP))
        policies = [obj for obj in self._reader.list(self._names.policies, GROUP) if _name(obj) in bindings]
        before, self._known = self._known, {}
        hooks = []
        for obj in sorted(policies, key=_name):
            # Status changes do not compile anything anew.
            key = (obj["metadata"]["uid"], str(obj["metadata"].get("generation", "")))
            policy = self._known[key] = before.get(key) or self._compiled(obj)
            hooks.append(Hook(policy, tuple(sorted(bindings[_name(obj)], key=_name))))
        return tuple(hooks)


def _by_policy(bindings: Iterable[Object]) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for binding in bindings:
        found.setdefault((binding.get("spec") or {}).get("policyName", ""), []).append(binding)
    return found


def _name(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name
