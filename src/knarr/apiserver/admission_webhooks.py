"""The admission webhooks put into a server's chain."""

from __future__ import annotations

from knarr.api import registry
from knarr.apiserver.context import Context
from knarr.apiserver.webhooks.calls import Caller, Kinds
from knarr.apiserver.webhooks.conditions import Matcher
from knarr.apiserver.webhooks.configurations import Configurations
from knarr.apiserver.webhooks.mutating import MutatingWebhooks
from knarr.apiserver.webhooks.validating import ValidatingWebhooks

_GROUP = "admissionregistration.k8s.io"


def add(ctx: Context, disabled: frozenset[str]) -> None:
    """Ask webhooks from now on, but for the plugins that are `disabled`."""
    mutating = MutatingWebhooks(_configurations(ctx, "mutatingwebhookconfigurations"), _caller(ctx, "admit"))
    validating = ValidatingWebhooks(_configurations(ctx, "validatingwebhookconfigurations"), _caller(ctx, "validating"))
    for step in (mutating, validating):
        if step.name not in disabled:
            ctx.admission.add(step)


def _configurations(ctx: Context, plural: str) -> Configurations:
    return Configurations(ctx.cache.collection(registry.resource(plural, _GROUP)))


def _caller(ctx: Context, type_: str) -> Caller:
    counted = ctx.metrics.webhooks
    matcher = Matcher(ctx.authorizers, type_, counted)
    return Caller(type_, ctx.webhook_client, Kinds(ctx.served.equivalents, ctx.served.converter), matcher, counted)
