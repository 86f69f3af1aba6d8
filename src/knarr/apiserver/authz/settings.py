"""What an API server is told about authorization, as data; by kube-apiserver's modes unless a file says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

NODE, RBAC, ABAC, WEBHOOK = "Node", "RBAC", "ABAC", "Webhook"
ALWAYS_ALLOW, ALWAYS_DENY = "AlwaysAllow", "AlwaysDeny"
MODES = (ALWAYS_ALLOW, ALWAYS_DENY, ABAC, WEBHOOK, RBAC, NODE)
#: The longest that a webhook may take, in seconds.
LONGEST = 30.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How a webhook is asked: its API version, for how many seconds answers hold, whether it denies when it fails."""

    api_version: str = "authorization.k8s.io/v1"
    keep_allowed: float = 300.0
    keep_refused: float = 30.0
    denies_on_error: bool = False
    #: What must hold of a review's spec, or the webhook is not asked.
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HookSpec:
    """A webhook: where its kubeconfig is (None: the cluster itself), how it is asked, and for which requests."""

    kubeconfig: Path | None
    terms: Terms = Terms()
    timeout: float = LONGEST


@dataclass(frozen=True, slots=True)
class AuthorizerSpec:
    """One authorizer."""

    type: str
    name: str = ""
    webhook: HookSpec | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationSettings:
    """The authorizers in their order, and the file they stand in, if there is one."""

    authorizers: tuple[AuthorizerSpec, ...] = field(default=(AuthorizerSpec(NODE), AuthorizerSpec(RBAC)))
    file: Path | None = None
    #: The policies of ABAC.
    policies: Path | None = None


def from_modes(modes: Sequence[str], hook: HookSpec | None, policies: Path | None = None) -> AuthorizationSettings:
    """What `--authorization-mode` says. Raises `ValueError`."""
    if not modes:
        raise ValueError("at least one authorization-mode must be passed")
    for mode in modes:
        if mode not in MODES:
            raise ValueError(f'authorization-mode "{mode}" is not a valid mode')
    if len(set(modes)) != len(modes):
        raise ValueError(f"authorization-mode {list(modes)} has mode specified more than once")
    if WEBHOOK in modes and hook is None:
        raise ValueError("authorization-mode Webhook's authorization config file not passed")
    if WEBHOOK not in modes and hook is not None:
        raise ValueError("cannot specify --authorization-webhook-config-file without mode Webhook")
    if (ABAC in modes) != (policies is not None):
        raise ValueError("authorization-mode ABAC and --authorization-policy-file go together")
    return AuthorizationSettings(
        tuple(AuthorizerSpec(mode, mode.lower(), hook if mode == WEBHOOK else None) for mode in modes),
        policies=policies,
    )
