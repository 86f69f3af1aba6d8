"""The admission steps MutatingAdmissionPolicy and ValidatingAdmissionPolicy."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

import orjson

from knarr.apimachinery.errors import not_found
from knarr.apimachinery.types import Object
from knarr.apiserver import spoilt_managers
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.context import Context
from knarr.apiserver.matching import requests
from knarr.apiserver.matching.criteria import Match
from knarr.apiserver.matching.versions import Versions
from knarr.apiserver.policies import aside, compiled, index, mutating, validating
from knarr.apiserver.policies.authorizer import Questions
from knarr.apiserver.policies.body_kind import BodyKind
from knarr.apiserver.policies.compiled import Policy
from knarr.apiserver.policies.conditions import ConditionsError
from knarr.apiserver.policies.index import GROUP, PolicyIndex
from knarr.apiserver.policies.mutating import Failure, Reinvocation
from knarr.apiserver.policies.params import Params
from knarr.apiserver.policies.selection import Invocation, Selector, Unusable
from knarr.apiserver.policies.validating import Decision, Denial, Effects, Judgement

#: What expressions do not see of the metadata of `namespaceObject`.
_UNSEEN = frozenset({"managedFields", "ownerReferences", "selfLink"})


def add(ctx: Context, disabled: Container[str]) -> None:
    """Have the policies of the cluster asked about all writes, unless their step is disabled."""
    for step in (MutatingPolicies(ctx), ValidatingPolicies(ctx)):
        if step.name not in disabled:
            ctx.admission.add(step)
            ctx.cache.listen(step.index.on_change, GROUP)


class Variables:
    """The variables of expressions about one request."""

    def __init__(self, ctx: Context, attributes: Attributes) -> None:
        self._attributes = attributes
        self._versions = Versions(attributes, ctx.served.converter)
        self._questions = Questions(ctx.authorizers, attributes).variables()
        self._namespace = _namespace(attributes)
        self._requests: dict[Match, Object] = {}

    def forget(self) -> None:
        """The object has been changed."""
        self._versions.forget()

    async def prepare(self, invocation: Invocation) -> None:
        """Have what `of` needs. Raises `StatusError`."""
        await self._versions.prepare(invocation.match)

    async def taken(self, new: Object, match: Match) -> Object:
        """What a changed object makes of the request's own object. Raises `StatusError`."""
        return await self._versions.taken(new, match)

    def of(self, invocation: Invocation) -> Mapping[str, Any]:
        """What the expressions of an invocation may refer to."""
        match = invocation.match
        versioned = self._versions.get(match)
        request = self._requests.get(match)
        if request is None:
            request = self._requests[match] = requests.about(self._attributes, match)
        return {
            "object": versioned.object,
            "oldObject": versioned.old_object,
            "params": invocation.param,
            "request": request,
            "namespaceObject": self._namespace,
            **self._questions,
        }


def _namespace(attributes: Attributes) -> Object | None:
    """The namespace of a request. Raises `StatusError` 404."""
    name = "" if attributes.kind_key == ("namespaces", "") else attributes.namespace
    if not name:
        return None
    found = attributes.reader.get("namespaces", "", "", name)
    if found is None:
        raise not_found("namespaces", "", name)
    return _seen_of(found)


def _seen_of(namespace: Object) -> Object:
    """What expressions see of a namespace."""
    metadata = {key: value for key, value in namespace["metadata"].items() if key not in _UNSEEN}
    return {"metadata": metadata, "spec": namespace.get("spec") or {}, "status": namespace.get("status") or {}}


class ValidatingPolicies:
    """The admission step ValidatingAdmissionPolicy."""

    name = "ValidatingAdmissionPolicy"

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._selector = Selector(Params(ctx.served), ctx.served.equivalents, lambda: ctx.served.generation)
        self.index = PolicyIndex(ctx.reader, index.VALIDATING, compiled.validating)

    def idle(self, attributes: Attributes) -> bool:
        """Whether there is nothing to ask."""
        hooks = self.index.hooks()
        return not hooks or not self._selector.concerned(hooks, attributes)

    async def validate(self, attributes: Attributes) -> None:
        """Judge a request by all policies. Raises `StatusError` where one refuses it."""
        variables: Variables | None = None
        effects = Effects(attributes, self._ctx.metrics.policies)
        async for found in self._selector.select(self.index.hooks(), attributes):
            if isinstance(found, Unusable):
                if not found.policy.ignores_failures:
                    effects.denials.append(Denial(found.policy.name, found.binding, found.why))
                continue
            variables = variables or Variables(self._ctx, attributes)
            await variables.prepare(found)
            values = variables.of(found)
            effects.take(found.policy, found.binding, await aside.done(_judged, found.policy, values))
        effects.publish()
        if effects.denials:
            raise validating.denial(attributes, effects.denials[0])


def _judged(policy: Policy, values: Mapping[str, Any], *, quick: bool) -> Judgement:
    try:
        if not policy.conditions.hold(values, quick=quick):
            return Judgement()
    except ConditionsError as error:
        return Judgement((Decision(not policy.ignores_failures, str(error)),))
    return validating.judge(policy, values, quick=quick)


class MutatingPolicies:
    """The admission step MutatingAdmissionPolicy."""

    name = "MutatingAdmissionPolicy"

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._selector = Selector(Params(ctx.served), ctx.served.equivalents, lambda: ctx.served.generation)
        self.index = PolicyIndex(ctx.reader, index.MUTATING, compiled.mutating)

    def idle(self, attributes: Attributes) -> bool:
        """Whether there is nothing to ask: of deletions there is nothing to change."""
        hooks = self.index.hooks()
        return not hooks or attributes.operation == "DELETE" or not self._selector.concerned(hooks, attributes)

    async def admit(self, attributes: Attributes) -> None:
        """Let all policies change a request's object. Raises `StatusError` where one fails that must not."""
        selected = [one async for one in self._selector.select(self.index.hooks(), attributes)]
        if not selected:
            return
        found = [one for one in selected if isinstance(one, Unusable)]
        failures = [(one.policy, Failure(one.policy.name, one.binding, one.why)) for one in found]
        invocations = [one for one in selected if isinstance(one, Invocation)]
        if invocations:
            managers = spoilt_managers.before(attributes)
            failures += await _Round(self._ctx, attributes).run(invocations)
            spoilt_managers.mend(attributes, managers)
        serious = [failure for policy, failure in failures if not policy.ignores_failures]
        if serious:
            raise mutating.refusal(attributes, serious)


class _Round:
    """One time that policies are asked about a request."""

    def __init__(self, ctx: Context, attributes: Attributes) -> None:
        self._attributes = attributes
        self._metrics = ctx.metrics.policies
        self._variables = Variables(ctx, attributes)
        self._changed = False
        self._notes: Reinvocation = attributes.notes.setdefault(MutatingPolicies.name, Reinvocation())

    async def run(self, invocations: Sequence[Invocation]) -> list[tuple[Policy, Failure]]:
        """Carry out the invocations in their order; gives what failed. Raises `StatusError`."""
        attributes, notes = self._attributes, self._notes
        if attributes.again and notes.last != _print(attributes.object):
            notes.changed()
        failures = []
        for invocation in invocations:
            failures += [(invocation.policy, failure) for failure in await self._one(invocation)]
        if self._changed:
            # Who wants to be asked again is asked again after own changes, too.
            notes.changed()
            attributes.reinvoke = True
        if not attributes.again:
            notes.last = _print(attributes.object)
        return failures

    async def _one(self, invocation: Invocation) -> list[Failure]:
        await self._variables.prepare(invocation)
        policy, values = invocation.policy, self._variables.of(invocation)
        try:
            if not await aside.done(policy.conditions.hold, values):
                return []
        except ConditionsError as error:
            return [_failure(invocation, str(error))]
        if self._attributes.again and not self._notes.asks_again(invocation.key):
            return []
        errors = await self._mutated(invocation, values)
        if policy.reinvoked:
            self._notes.asked(invocation.key)
        return [_failure(invocation, error) for error in errors]

    async def _mutated(self, invocation: Invocation, values: Mapping[str, Any]) -> list[str]:
        before = values["object"]
        if before is None:
            return []
        kind = BodyKind(invocation.match)
        new, results = await aside.done(mutating.mutate, invocation.policy, before, kind, values)
        for result in results:
            self._metrics.mutation(invocation.names, result.error, result.seconds)
        if new != before:
            await self._take(new, invocation.match)
        return [result.error for result in results if result.error]

    async def _take(self, new: Object, match: Match) -> None:
        """Make the request's object what a policy made of it; whoever holds it sees the change."""
        attributes = self._attributes
        if attributes.object is None:
            raise LookupError("there is nothing to change")
        mine = dict(await self._variables.taken(new, match))
        attributes.object.clear()
        attributes.object.update(mine)
        self._changed = True
        self._notes.changed()
        self._variables.forget()


def _print(obj: Object | None) -> bytes:
    """What tells whether an object has changed since."""
    return orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)


def _failure(invocation: Invocation, message: str) -> Failure:
    return Failure(invocation.policy.name, invocation.binding.name, message, "Invalid")
