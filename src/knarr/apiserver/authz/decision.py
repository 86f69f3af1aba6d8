"""What an authorizer is asked and answers, and the words of a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.errors import forbidden as forbidden_error
from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.apiserver.request import RequestInfo, UserInfo

#: Members of this group may do everything; no rule is looked at.
MASTERS = "system:masters"
NODES = "system:nodes"
NODE_USER_PREFIX = "system:node:"


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed or not, and why. A refusal's reason is often empty: nothing allowed it.

    `denied`: nobody else is asked. `error` says what kept an authorizer from deciding.
    """

    allowed: bool
    reason: str = ""
    denied: bool = False
    error: str = ""

    @property
    def annotations(self) -> dict[str, str]:
        """What the audit log notes of it."""
        word = "allow" if self.allowed else "forbid"
        return {"authorization.k8s.io/decision": word, "authorization.k8s.io/reason": self.reason}


@dataclass(frozen=True, slots=True)
class RuleList:
    """What a user may do in a namespace, as `SelfSubjectRulesReview` lists it."""

    resource_rules: list[Object]
    non_resource_rules: list[Object]
    incomplete: bool = False
    error: str = ""


class Authorizer(Protocol):
    """Decides requests."""

    def authorize(self, user: UserInfo, info: RequestInfo) -> Decision:
        """Tell whether `user` may do this."""
        ...

    def rules_for(self, user: UserInfo, namespace: str) -> RuleList:
        """What `user` may do in a namespace, and cluster-wide."""
        ...


def node_identity(user: UserInfo) -> str | None:
    """The node's name when `user` is a kubelet (`""` when it cannot be told), None for everyone else."""
    if not user.name.startswith(NODE_USER_PREFIX) or NODES not in user.groups:
        return None
    return user.name[len(NODE_USER_PREFIX) :]


def describe(user: UserInfo, info: RequestInfo) -> str:
    """`User "x" cannot list resource "pods" in API group "" in the namespace "y"`."""
    who = quote(user.name)
    if not info.is_resource:
        return f"User {who} cannot {info.verb} path {quote(info.path)}"
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    scope = f"in the namespace {quote(info.namespace)}" if info.namespace else "at the cluster scope"
    return f"User {who} cannot {info.verb} resource {quote(resource)} in API group {quote(info.group)} {scope}"


def forbidden(user: UserInfo, info: RequestInfo, decision: Decision) -> StatusError:
    """The 403 for a request that `decision` does not allow. Markup characters are escaped, as Kubernetes does."""
    text = describe(user, info)
    if "&" in text or "<" in text or ">" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if decision.reason:
        text = f"{text}: {decision.reason}"
    return forbidden_error(info.resource, info.group, info.name, text)
