"""Which policies, with which bindings and parameters, a request is judged by.

Input: the policies in force, the attributes of a request. Output: invocations, in the policies' order; where a policy
or a binding cannot be used, one that says why.
Source: k8s.io/apiserver/pkg/admission/plugin/policy/generic/policy_dispatcher.go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.matching import rules
from knarr.apiserver.matching.criteria import Criteria, Equivalents, Match
from knarr.apiserver.policies.compiled import Binding, Policy
from knarr.apiserver.policies.index import Hook
from knarr.apiserver.policies.params import ConfigurationError, Params

#: What policies are never asked about: reviews, without which the cluster could not be used, and policies themselves.
EXCLUDED = frozenset(
    {
        ("selfsubjectreviews", "authentication.k8s.io"),
        ("tokenreviews", "authentication.k8s.io"),
        ("localsubjectaccessreviews", "authorization.k8s.io"),
        ("selfsubjectaccessreviews", "authorization.k8s.io"),
        ("selfsubjectrulesreviews", "authorization.k8s.io"),
        ("subjectaccessreviews", "authorization.k8s.io"),
        ("validatingadmissionpolicies", "admissionregistration.k8s.io"),
        ("validatingadmissionpolicybindings", "admissionregistration.k8s.io"),
        ("mutatingadmissionpolicies", "admissionregistration.k8s.io"),
        ("mutatingadmissionpolicybindings", "admissionregistration.k8s.io"),
    }
)


class Invocation(NamedTuple):
    """A policy with one binding and one set of parameters, None where it has none."""

    policy: Policy
    binding: Binding
    match: Match
    param: Object | None

    @property
    def names(self) -> tuple[str, str]:
        """Those of policy and binding."""
        return self.policy.name, self.binding.name

    @property
    def key(self) -> tuple[str, ...]:
        """What tells invocations of one request apart."""
        meta = (self.param or {}).get("metadata") or {}
        return (*self.names, meta.get("namespace") or "", meta.get("name") or "")


class Unusable(NamedTuple):
    """A policy, or a binding of it if one is named, that cannot be used for a request it matches."""

    policy: Policy
    binding: str
    why: str


class Selector:
    """Selects invocations. Which policies concern a kind of request at all is found out once."""

    def __init__(self, params: Params, equivalents: Equivalents, generation: Callable[[], int]) -> None:
        """`generation` grows when other resources are served: what is equivalent has changed then."""
        self.params = params
        self.equivalents = equivalents
        self._generation = generation
        self._known: dict[tuple[Resource, str, str], tuple[Hook, ...]] = {}
        self._known_of: tuple[object, int] = ((), -1)

    async def select(self, hooks: tuple[Hook, ...], attributes: Attributes) -> AsyncIterator[Invocation | Unusable]:
        """The invocations for a request."""
        for hook in self.concerned(hooks, attributes):
            policy = hook.policy
            try:
                match = self._match(policy.criteria, attributes)
                if match is None:
                    continue
                if policy.param_kind is not None:
                    self.params.scope(policy.param_kind)
            except ConfigurationError as error:
                yield Unusable(policy, "", f"failed to configure policy: {error}")
                continue
            for binding in hook.bindings:
                for one in await self._bound(policy, binding, match, attributes):
                    yield one

    def concerned(self, hooks: tuple[Hook, ...], attributes: Attributes) -> tuple[Hook, ...]:
        """The policies whose rules name such requests."""
        generation = self._generation()
        if self._known_of[0] is not hooks or self._known_of[1] != generation:
            self._known.clear()
            self._known_of = (hooks, generation)
        key = (attributes.resource, attributes.subresource, attributes.operation)
        found = self._known.get(key)
        if found is None:
            exempt = attributes.kind_key in EXCLUDED
            found = self._known[key] = tuple(
                hook for hook in hooks if not exempt and hook.policy.criteria.concern(attributes, self.equivalents)
            )
        return found

    async def _bound(
        self, policy: Policy, binding: Binding, match: Match, attributes: Attributes
    ) -> list[Invocation | Unusable]:
        try:
            if binding.criteria is not None and self._match(binding.criteria, attributes) is None:
                return []
            place = rules.namespace_of(attributes)
            params = await self.params.collect(policy.param_kind, binding.param_ref, place)
        except ConfigurationError as error:
            return [Unusable(policy, binding.name, f"failed to configure binding: {error}")]
        return [Invocation(policy, binding, match, param) for param in params]

    def _match(self, criteria: Criteria, attributes: Attributes) -> Match | None:
        """As what a request matches. Raises `ConfigurationError` where that cannot be told."""
        try:
            return criteria.match(attributes, self.equivalents)
        except StatusError as error:
            raise ConfigurationError(str(error)) from error
