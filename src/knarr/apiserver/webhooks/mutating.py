"""The admission step `MutatingAdmissionWebhook`: webhooks that may change an object, one after the other.

Source: k8s.io/apiserver/pkg/admission/plugin/webhook/mutating.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import orjson

from knarr.api.resources import Resource
from knarr.apimachinery import json_patch
from knarr.apimachinery.errors import internal
from knarr.apimachinery.field import quote
from knarr.apimachinery.go_text import type_name
from knarr.apimachinery.json_patch import DoesNotApplyError
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds, spoilt_managers
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.kinds import DecodeError
from knarr.apiserver.matching import rules
from knarr.apiserver.matching.criteria import Match
from knarr.apiserver.matching.versions import Versions
from knarr.apiserver.webhooks import reviews
from knarr.apiserver.webhooks.calls import Caller, FailedCallError, Invocation
from knarr.apiserver.webhooks.configurations import Configurations, Webhook
from knarr.apiserver.webhooks.reviews import Verdict

_JSON_PATCH = "JSONPatch"


@dataclass(slots=True)
class _Rounds:
    """What is remembered from the first round of an object's admission for the second."""

    #: Webhooks with `reinvocationPolicy: IfNeeded` that were called since the last change.
    called: set[str] = field(default_factory=set)
    #: Those that have to be called again.
    due: set[str] = field(default_factory=set)
    #: The object as it was when the webhooks were done.
    output: Object | None = None

    def changed(self) -> None:
        """The object has been changed: who has seen it before must see it again."""
        self.due |= self.called
        self.called = set()


class MutatingWebhooks:
    """Asks the webhooks of all MutatingWebhookConfigurations."""

    name = "MutatingAdmissionWebhook"

    def __init__(self, configurations: Configurations, caller: Caller) -> None:
        self._configurations = configurations
        self._caller = caller

    def idle(self, _attributes: Attributes) -> bool:
        """Whether there are no webhooks at all."""
        return not self._configurations.webhooks

    async def admit(self, attributes: Attributes) -> None:
        """Let the webhooks change the object in place. Raises `StatusError`."""
        webhooks = self._configurations.webhooks
        if not webhooks or attributes.kind_key in rules.EXEMPT:
            return
        if attributes.operation == "DELETE" and attributes.old_object is None:
            # A collection is deleted object by object.
            return
        rounds: _Rounds = attributes.notes.setdefault(self.name, _Rounds())
        if attributes.again and rounds.output != attributes.object:
            # Plugins have changed it since.
            rounds.changed()
        before = spoilt_managers.before(attributes)
        try:
            await self._all(webhooks, attributes, rounds)
        finally:
            if attributes.reinvoke and not attributes.again:
                rounds.output = copy.deepcopy(attributes.object)
        spoilt_managers.mend(attributes, before)

    async def _all(self, webhooks: tuple[Webhook, ...], attributes: Attributes, rounds: _Rounds) -> None:
        seen = self._caller.versions(attributes)
        for index, webhook in enumerate(webhooks):
            match = await self._caller.wanted(webhook, attributes, seen)
            if match is None or (attributes.again and webhook.uid not in rounds.due):
                # The second round calls nobody for the first time.
                continue
            invocation = Invocation(webhook, match, index)
            changed = await self._caller.judged(invocation, attributes, self._call(invocation, attributes, seen))
            if changed:
                rounds.changed()
                attributes.reinvoke = True
            if webhook.again:
                rounds.called.add(webhook.uid)

    async def _call(self, invocation: Invocation, attributes: Attributes, seen: Versions) -> bool:
        """Ask one webhook; whether it changed the object."""
        webhook, changed = invocation.webhook, False
        try:
            verdict = await self._caller.ask(invocation, attributes, seen)
            operations = _operations(webhook, verdict)
            if operations:
                changed = await _change(invocation, attributes, seen, operations)
                _annotate(invocation, attributes, "patch", {"patch": operations, "patchType": _JSON_PATCH})
            return changed
        finally:
            _annotate(invocation, attributes, "mutation", {"mutated": changed})


def _operations(webhook: Webhook, verdict: Verdict) -> list[Object]:
    if not verdict.patch:
        return []
    try:
        operations = reviews.operations(verdict)
    except ValueError as error:
        raise FailedCallError(webhook, f"received undecodable patch in webhook response: {error}", 503) from error
    if operations and verdict.patch_type != _JSON_PATCH:
        raise FailedCallError(webhook, f"unsupported patch type {quote(verdict.patch_type)}", 400)
    return operations


async def _change(invocation: Invocation, attributes: Attributes, seen: Versions, operations: list[Object]) -> bool:
    """Carry out a patch on the object, in the version that the webhook was shown; whether that changed it."""
    match = invocation.match
    shown = seen.get(match).object
    if shown is None or attributes.object is None:
        name = quote(invocation.webhook.name)
        raise internal(
            f"admission webhook {name} attempted to modify the object, which is not supported for this operation"
        )
    try:
        patched = json_patch.carry_out(shown, operations)
        if not isinstance(patched, dict):
            what = type_name(patched)
            raise internal(f"json: cannot unmarshal {what} into Go value of type map[string]interface {{}}")
        made, _ = kinds.normalise(_kind(match), patched)
    except DoesNotApplyError as error:
        raise internal(str(error)) from error
    except DecodeError as error:
        raise internal(error.cause) from error
    # An empty list is as good as none.
    changed = made != shown and made != kinds.normalise(_kind(match), shown)[0]
    kinds.default(_kind(match), made)
    new = await seen.taken(made, match)
    # Others hold the object: it is changed in its place.
    attributes.object.clear()
    attributes.object.update(new)
    seen.forget()
    return changed


def _kind(match: Match) -> Resource:
    """A resource whose objects are of the kind that was matched: a subresource may have one of its own."""
    if match.kind == match.resource.gvk:
        return match.resource
    group, version, kind = match.kind
    return Resource(group, version, match.resource.plural, kind, namespaced=match.resource.namespaced)


def _annotate(invocation: Invocation, attributes: Attributes, what: str, more: Object) -> None:
    key = f"{what}.webhook.admission.k8s.io/round_{1 if attributes.again else 0}_index_{invocation.number}"
    webhook = invocation.webhook
    told = {"configuration": webhook.configuration, "webhook": webhook.name, **more}
    attributes.annotations[key] = orjson.dumps(told).decode()
