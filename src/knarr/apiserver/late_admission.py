"""Admission by webhooks and policies, loaded once a cluster has any: most have none, and start sooner and smaller."""

from __future__ import annotations

from collections.abc import Callable

from knarr.apiserver.context import Context
from knarr.apiserver.watch_cache import Change, Collection

_GROUP = "admissionregistration.k8s.io"
_WEBHOOKS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
_POLICIES = ("mutatingadmissionpolicies", "validatingadmissionpolicies")


def add(ctx: Context, disabled: frozenset[str]) -> None:
    """Have both asked about writes, now or from their first object on, but for the plugins that are `disabled`."""
    for load, plurals in ((_webhooks, _WEBHOOKS), (_policies, _POLICIES)):
        if any(next(iter(ctx.reader.list(plural, _GROUP)), None) is not None for plural in plurals):
            load(ctx, disabled)
        else:
            ctx.cache.listen(_Waiting(ctx, disabled, load, plurals).on_change, _GROUP)


class _Waiting:
    """Waits for the first object."""

    def __init__(self, ctx: Context, disabled: frozenset[str], load: _Load, plurals: tuple[str, ...]) -> None:
        self._ctx, self._disabled, self._load, self._plurals = ctx, disabled, load, plurals
        self._waits = True

    def on_change(self, collection: Collection, _change: Change) -> None:
        if self._waits and collection.resource.plural in self._plurals:
            self._waits = False
            self._load(self._ctx, self._disabled)


_Load = Callable[[Context, frozenset[str]], None]


def _webhooks(ctx: Context, disabled: frozenset[str]) -> None:
    from knarr.apiserver import admission_webhooks

    admission_webhooks.add(ctx, disabled)


def _policies(ctx: Context, disabled: frozenset[str]) -> None:
    from knarr.apiserver import admission_policies

    admission_policies.add(ctx, disabled)
