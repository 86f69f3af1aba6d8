"""What MutatingAdmissionPolicies make of an object, mutation by mutation.

Input: a compiled policy, the object in the version that its rules name, the values of its expressions' variables.
Output: the changed object, canonical and with defaults. `refusal` is the answer where a policy fails.
Source: k8s.io/apiserver/pkg/admission/plugin/policy/mutating (dispatcher.go), generic/policy_dispatcher.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.field_schema import FieldSchema
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.plugin import refuse
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.policies import patches
from knarr.apiserver.policies.compiled import Mutation, Policy
from knarr.apiserver.policies.evaluation import OutOfBudgetError, Session


class Kind(Protocol):
    """What mutations must know of the kind of an object."""

    @property
    def schema(self) -> FieldSchema | None:
        """How configurations are merged into it, if that is known."""
        ...

    def canonical(self, obj: Any, *, strict: bool) -> Object:
        """The object as the server would have decoded it, with defaults. Raises `ValueError`, `StatusError`."""
        ...

    def __str__(self) -> str:
        """`apps/v1, Kind=Deployment`."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A policy that could not do its work. `binding` is empty where the policy itself cannot be used."""

    policy: str
    binding: str
    message: str
    reason: str = ""

    @property
    def text(self) -> str:
        """The sentence of the answer."""
        if self.binding:
            return f"policy '{self.policy}' with binding '{self.binding}' denied request: {self.message}"
        return f'policy "{self.policy}" denied request: {self.message}'


def refusal(attributes: Attributes, failures: Sequence[Failure]) -> StatusError:
    """The answer to a request for which policies failed that must not fail."""
    error = refuse(attributes, "admission request denied by policy")
    error.message = failures[0].text
    error.reason = failures[0].reason or error.reason
    error.details = {**(error.details or {}), "causes": [{"message": failure.text} for failure in failures]}
    return error


class Mutated(NamedTuple):
    """What became of one mutation: what went wrong, if anything, and the seconds it took."""

    error: str
    seconds: float


def mutate(
    policy: Policy, obj: Object, kind: Kind, values: Mapping[str, Any], *, quick: bool = False
) -> tuple[Object, list[Mutated]]:
    """The object after all mutations of a policy whose conditions hold, and what became of each.

    `values` are the variables, `object` aside, which is the object as it is before each mutation. One that fails
    changes nothing. Raises `StatusError`, and `TooDearError` if it is to be quick.
    """
    results: list[Mutated] = []
    for mutation in policy.mutations:
        began, error = perf_counter(), ""
        try:
            session = Session(policy.variables, {**values, "object": obj}, quick=quick)
            obj = _mutated(mutation, obj, kind, session)
        except (ValueError, OutOfBudgetError) as failure:
            error = str(failure)
        results.append(Mutated(error, perf_counter() - began))
    return obj, results


def _mutated(mutation: Mutation, obj: Object, kind: Kind, session: Session) -> Object:
    outcome = session.run(mutation.expression)
    if outcome.error:
        raise ValueError(outcome.error)
    if mutation.kind == "JSONPatch":
        return kind.canonical(patches.patched(obj, patches.operations(outcome.value)), strict=True)
    if kind.schema is None:
        why = f"no corresponding type for {kind}"
        raise ValueError(f"error applying patch: failed to convert patch object to typed object: {why}")
    return kind.canonical(patches.configured(kind.schema, obj, patches.plain(outcome.value)), strict=False)


class Reinvocation:
    """Which policies are asked again when something was changed after them, in one request.

    Policies with `reinvocationPolicy: IfNeeded` are asked once more when a later plugin, webhook or policy changed the
    object. A key names policy, binding and parameters.
    """

    def __init__(self) -> None:
        #: The object as the policies left it, as JSON.
        self.last = b""
        self._asked: set[tuple[str, ...]] = set()
        self._again: set[tuple[str, ...]] = set()

    def asks_again(self, key: tuple[str, ...]) -> bool:
        """Whether a policy is asked in the second round."""
        return key in self._again

    def asked(self, key: tuple[str, ...]) -> None:
        """Note a policy that wants to be asked again after changes."""
        self._asked.add(key)

    def changed(self) -> None:
        """The object has changed: all that were asked before are to be asked again."""
        self._again |= self._asked
        self._asked.clear()
