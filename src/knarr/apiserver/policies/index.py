"""Which policies are in force: each with the bindings that name it.

Input: the objects of the watch cache. A policy without a binding does nothing, nor does a binding without a policy.
Kubernetes promises no order of policies; here it is that of their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.policies.compiled import Binding, Policy, binding
from knarr.apiserver.watch_cache import Change, Collection

GROUP = "admissionregistration.k8s.io"


@dataclass(frozen=True, slots=True)
class Hook:
    """A policy in force, and its bindings by name."""

    policy: Policy
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """The plural names of policies and their bindings."""

    policies: str
    bindings: str


VALIDATING = Names("validatingadmissionpolicies", "validatingadmissionpolicybindings")
MUTATING = Names("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")


class PolicyIndex:
    """The policies of one kind; listens to the watch cache. What was compiled stays as long as the policy."""

    def __init__(self, reader: Reader, names: Names, compiled: Callable[[Object], Policy]) -> None:
        self._reader = reader
        self._names = names
        self._plurals = frozenset((names.policies, names.bindings))
        self._compiled = compiled
        self._known: dict[tuple[str, str], Policy] = {}
        self._hooks: tuple[Hook, ...] | None = None

    def on_change(self, collection: Collection, _change: Change) -> None:
        """Look anew after a change of policies or bindings."""
        resource = collection.resource
        if resource.group == GROUP and resource.plural in self._plurals:
            self._hooks = None

    def hooks(self) -> tuple[Hook, ...]:
        """The policies in force, by name."""
        if self._hooks is None:
            self._hooks = self._load()
        return self._hooks

    def _load(self) -> tuple[Hook, ...]:
        bindings = _by_policy(map(binding, self._reader.list(self._names.bindings, GROUP)))
        policies = [obj for obj in self._reader.list(self._names.policies, GROUP) if _name(obj) in bindings]
        before, self._known = self._known, {}
        hooks = []
        for obj in sorted(policies, key=_name):
            # Status changes do not compile anything anew.
            key = (obj["metadata"]["uid"], str(obj["metadata"].get("generation", "")))
            policy = self._known[key] = before.get(key) or self._compiled(obj)
            hooks.append(Hook(policy, tuple(sorted(bindings[policy.name], key=lambda one: one.name))))
        return tuple(hooks)


def _by_policy(bindings: Iterable[Binding]) -> dict[str, list[Binding]]:
    found: dict[str, list[Binding]] = {}
    for one in bindings:
        found.setdefault(one.policy, []).append(one)
    return found


def _name(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name
