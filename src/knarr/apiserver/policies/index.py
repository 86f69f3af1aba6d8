"""Which policies are in force: each with the bindings that name it.

Input: the objects of the watch cache. A policy without a binding does nothing, nor does a binding without a policy.
Kubernetes promises no order of policies; here it is that of their names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.cache_reader import decode
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
    """The policies of one kind; listens to the watch cache. What was compiled stays until a policy's spec changes."""

    def __init__(self, reader: Reader, names: Names, compiled: Callable[[Object], Policy]) -> None:
        self._reader = reader
        self._names = names
        self._compiled = compiled
        self._policies: dict[str, _Known] = {}
        self._bindings: dict[str, Binding] = {}
        self._loaded = False
        self._hooks: tuple[Hook, ...] | None = None

    def on_change(self, collection: Collection, change: Change) -> None:
        """Take in a change of a policy or binding."""
        resource = collection.resource
        if resource.group != GROUP or resource.plural not in (self._names.policies, self._names.bindings):
            return
        self._hooks = None
        if self._loaded:
            obj = decode(collection, change.entry)
            take = self._take_policy if resource.plural == self._names.policies else self._take_binding
            take(obj, deleted=change.deleted)

    def hooks(self) -> tuple[Hook, ...]:
        """The policies in force, by name."""
        if self._hooks is None:
            if not self._loaded:
                self._load()
            self._hooks = self._joined()
        return self._hooks

    def _load(self) -> None:
        for obj in self._reader.list(self._names.policies, GROUP):
            self._take_policy(obj, deleted=False)
        for obj in self._reader.list(self._names.bindings, GROUP):
            self._take_binding(obj, deleted=False)
        self._loaded = True

    def _take_policy(self, obj: Object, *, deleted: bool) -> None:
        meta = obj["metadata"]
        known = self._policies.pop(meta["name"], None)
        if deleted:
            return
        # Status changes do not compile anything anew.
        said = (meta["uid"], meta.get("generation", 0))
        self._policies[meta["name"]] = known if known is not None and known.said == said else _Known(said, obj)

    def _take_binding(self, obj: Object, *, deleted: bool) -> None:
        self._bindings.pop(obj["metadata"]["name"], None)
        if not deleted:
            self._bindings[obj["metadata"]["name"]] = binding(obj)

    def _joined(self) -> tuple[Hook, ...]:
        bound: dict[str, list[Binding]] = {}
        for _, one in sorted(self._bindings.items()):
            bound.setdefault(one.policy, []).append(one)
        return tuple(
            Hook(self._ready(self._policies[name]), tuple(bindings))
            for name, bindings in sorted(bound.items())
            if name in self._policies
        )

    def _ready(self, known: _Known) -> Policy:
        if known.policy is None:
            known.policy = self._compiled(known.object)
        return known.policy


@dataclass(slots=True)
class _Known:
    """A policy, its uid and generation, and what it is compiled to when it is first in force."""

    said: tuple[str, int]
    object: Object
    policy: Policy | None = None
