"""Makes authorizers of what configuration says, and follows its file."""

from __future__ import annotations

from dataclasses import dataclass

from knarr.apiserver.authz import settings as kinds
from knarr.apiserver.authz.chain import AuthorizerChain
from knarr.apiserver.authz.links import AlwaysAllow, AlwaysDeny, Link
from knarr.apiserver.authz.settings import AuthorizationSettings, AuthorizerSpec, HookSpec
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Building:
    """Sets up a chain."""

    chain: AuthorizerChain
    clock: Clock
    tasks: Tasks

    def use(self, settings: AuthorizationSettings) -> None:
        """Ask the authorizers of these settings. Raises `ValueError`, `OSError`, and then nothing changes."""
        self.chain.use([self._link(spec, settings) for spec in settings.authorizers])

    def follow(self, settings: AuthorizationSettings) -> None:
        """Take over changes of the settings' file, from now on."""
        path = settings.file
        if path is not None:
            from knarr.apiserver import config_files
            from knarr.apiserver.authz import configuration

            self.tasks.forever(
                lambda: config_files.follow(path, lambda: self.use(configuration.load(path)), self.clock),
                "authorization configuration",
            )

    def _link(self, spec: AuthorizerSpec, settings: AuthorizationSettings) -> Link:
        if spec.type == kinds.NODE:
            return self.chain.node
        if spec.type == kinds.RBAC:
            return self.chain.rbac
        if spec.type == kinds.ALWAYS_ALLOW:
            return AlwaysAllow()
        if spec.type == kinds.ABAC and settings.policies is not None:
            from knarr.apiserver.authz.abac import AbacAuthorizer

            return AbacAuthorizer(settings.policies.read_text())
        return AlwaysDeny() if spec.webhook is None else self._hook(spec, spec.webhook)

    def _hook(self, spec: AuthorizerSpec, hook: HookSpec) -> Link:
        from knarr.apiserver.authz.webhook import WebhookAuthorizer
        from knarr.apiserver.outside import Webhook

        if hook.kubeconfig is None:
            raise ValueError(f"authorizer {spec.name} names no kubeconfig")
        webhook = Webhook.named_by(hook.kubeconfig, self.clock, hook.timeout)
        return WebhookAuthorizer(webhook, hook.terms, self.clock, self.tasks)
