"""One call of an admission webhook: is it wanted, what does it say, and what becomes of a failure."""

from __future__ import annotations

from collections.abc import Awaitable
from time import perf_counter
from typing import NamedTuple

from knarr.apimachinery.errors import StatusError, internal
from knarr.apimachinery.field import quote
from knarr.apiserver import names
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.matching import requests
from knarr.apiserver.matching.criteria import Equivalents, Match
from knarr.apiserver.matching.versions import Converters, Versions
from knarr.apiserver.webhooks import metrics, reviews
from knarr.apiserver.webhooks.answers import CallError
from knarr.apiserver.webhooks.client import WebhookClient
from knarr.apiserver.webhooks.conditions import Matcher
from knarr.apiserver.webhooks.configurations import Webhook
from knarr.apiserver.webhooks.metrics import WebhookMetrics
from knarr.apiserver.webhooks.reviews import Verdict
from knarr.component_base import logs

_log = logs.get("webhooks")


class FailedCallError(Exception):
    """A webhook could not be asked, or its answer makes no sense: its failure policy decides."""

    def __init__(self, webhook: Webhook, why: str, code: int) -> None:
        super().__init__(f"failed calling webhook {quote(webhook.name)}: {why}")
        self.code = code


class DeniedError(StatusError):
    """A webhook said no."""


class Invocation(NamedTuple):
    """A webhook that a request concerns."""

    webhook: Webhook
    match: Match
    #: Which of the webhooks it is, for annotations.
    number: int


class Kinds(NamedTuple):
    """What is known of the kinds that are served."""

    equivalents: Equivalents
    converters: Converters


class Caller:
    """Calls the webhooks of one type of admission, `admit` or `validating`."""

    def __init__(
        self, type_: str, client: WebhookClient, kinds: Kinds, matcher: Matcher, counted: WebhookMetrics
    ) -> None:
        self._type = type_
        self._client = client
        self._kinds = kinds
        self._matcher = matcher
        self._counted = counted

    def versions(self, attributes: Attributes) -> Versions:
        """The versions of a request's objects."""
        return Versions(attributes, self._kinds.converters)

    async def wanted(self, webhook: Webhook, attributes: Attributes, versions: Versions) -> Match | None:
        """As what a webhook wants to see a request. Raises `StatusError`."""
        match = webhook.criteria.match(attributes, self._kinds.equivalents)
        conditions = webhook.conditions
        if match is None:
            return None
        await versions.prepare(match)
        if conditions is None:
            return match
        held = await self._matcher.holds(webhook.name, conditions, attributes, match, versions)
        return match if held else None

    async def ask(self, invocation: Invocation, attributes: Attributes, versions: Versions) -> Verdict:
        """What a webhook says, that is yes. Raises `DeniedError`, `FailedCallError`, `StatusError`."""
        webhook = invocation.webhook
        if attributes.dry_run and not webhook.harmless:
            raise reviews.no_dry_run(webhook.name)
        uid = names.uid()
        try:
            version = reviews.version(webhook.versions)
            target = self._client.target(webhook.client_config)
        except ValueError as error:
            raise FailedCallError(webhook, f"could not create admission objects: {error}", 400) from error
        except CallError as error:
            raise FailedCallError(webhook, f"could not get REST client: {error}", 500) from error
        await versions.prepare(invocation.match)
        objects = versions.get(invocation.match)
        document = reviews.question(requests.request(attributes, invocation.match, objects), uid, version)
        try:
            answer = await self._client.post(target, document, webhook.timeout)
        except CallError as error:
            raise FailedCallError(webhook, f"failed to call webhook: {error}", error.code or 503) from error
        try:
            found = reviews.verdict(answer, uid, version, mutating=self._type == "admit")
        except ValueError as error:
            raise FailedCallError(webhook, f"received invalid webhook response: {error}", 503) from error
        _note(webhook, attributes, found)
        if not found.allowed:
            raise _denied(webhook, found)
        return found

    async def judged(self, invocation: Invocation, attributes: Attributes, call: Awaitable[bool]) -> bool:
        """The outcome of a call, counted; False where it failed and may. Raises `StatusError`."""
        webhook, began, key = invocation.webhook, perf_counter(), self._key(invocation, attributes)
        code, rejected = 200, False
        try:
            return await call
        except FailedCallError as error:
            code, rejected = error.code, not webhook.ignore
            if webhook.ignore:
                self._overlook(invocation, attributes, error)
                return False
            self._counted.rejected(key, metrics.CALLING_ERROR, code)
            _log.warning("failed calling webhook, failing closed", webhook=webhook.name, error=error)
            raise internal(str(error)) from error
        except DeniedError as error:
            code, rejected = error.code, True
            self._counted.rejected(key, metrics.NO_ERROR, code)
            raise
        except StatusError:
            code, rejected = 0, True
            self._counted.rejected(key, metrics.SERVER_ERROR, 0)
            raise
        finally:
            self._counted.called(key, perf_counter() - began, code, rejected=rejected)

    def _key(self, invocation: Invocation, attributes: Attributes) -> tuple[str, str, str]:
        return invocation.webhook.name, self._type, attributes.operation

    def _overlook(self, invocation: Invocation, attributes: Attributes, error: FailedCallError) -> None:
        name, round_ = invocation.webhook.name, 1 if attributes.again else 0
        _log.warning("failed calling webhook, failing open", webhook=name, error=error)
        self._counted.fail_open.add((name, self._type))
        kind = "mutation" if self._type == "admit" else "validating"
        key = f"failed-open.{kind}.webhook.admission.k8s.io/round_{round_}_index_{invocation.number}"
        attributes.annotations[key] = name


def _note(webhook: Webhook, attributes: Attributes, found: Verdict) -> None:
    for key, value in found.annotations.items():
        attributes.annotations[f"{webhook.name}/{key}"] = value
    for text in found.warnings:
        attributes.warn(text)


def _denied(webhook: Webhook, found: Verdict) -> DeniedError:
    error = reviews.refusal(webhook.name, found.status)
    return DeniedError(error.code, error.reason, error.message, error.details)
