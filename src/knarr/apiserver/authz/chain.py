"""The authorizers in their order: system:masters, then (unless told otherwise) Node, then RBAC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.authz.decision import MASTERS, Decision, RuleList
from knarr.apiserver.authz.links import Link
from knarr.apiserver.authz.node import NodeAuthorizer
from knarr.apiserver.authz.node_graph import NodeGraph
from knarr.apiserver.authz.rbac import GROUP, RbacIndex
from knarr.apiserver.request import RequestInfo, UserInfo

_ALLOWED, _REFUSED = Decision(True), Decision(False)

#: What the authorizers follow: (plural, group). Roles come before bindings only for the reader's sake.
FOLLOWED: tuple[tuple[str, str], ...] = (
    ("clusterroles", GROUP),
    ("roles", GROUP),
    ("clusterrolebindings", GROUP),
    ("rolebindings", GROUP),
    ("pods", ""),
    ("persistentvolumes", ""),
    ("volumeattachments", "storage.k8s.io"),
    ("resourceslices", "resource.k8s.io"),
    ("podcertificaterequests", "certificates.k8s.io"),
)


class AuthorizerChain:
    """Answers the `Authorizer` protocol. Feed it every event of the `FOLLOWED` resources."""

    def __init__(self) -> None:
        self.rbac = RbacIndex()
        self.graph = NodeGraph()
        self.node = NodeAuthorizer(self.graph)
        self._links: tuple[Link, ...] = (self.node, self.rbac)

    def load(self, reader: Reader) -> None:
        """Take in what exists at the start. Events that overlap with it do no harm."""
        for resource, group in FOLLOWED:
            for obj in reader.list(resource, group):
                self.on_event(resource, group, "ADDED", obj)

    def on_event(self, resource: str, group: str, event: str, obj: Object) -> None:
        """Take in one change; other resources than the `FOLLOWED` ones are ignored."""
        if (resource, group) not in _FOLLOWED:
            return
        if group == GROUP:
            self.rbac.on_event(resource, event, obj)
        else:
            self.graph.on_event(resource, event, obj)

    def use(self, links: Sequence[Link]) -> None:
        """Ask these from now on, in this order. RBAC and Node are followed all the same."""
        self._links = tuple(links)

    def authorize(self, user: UserInfo, info: RequestInfo) -> Decision:
        """Tell whether `user` may do this. The first that allows or denies decides; else all reasons are joined.

        Raises `Pending` where a webhook must be asked first.
        """
        if MASTERS in user.groups:
            return _ALLOWED
        last = _REFUSED
        for link in self._links:
            decision = link.authorize(user, info)
            if decision is None:
                continue
            if decision.allowed or decision.denied:
                return decision
            last = decision if last is _REFUSED else _joined(last, decision)
        return last

    def rules_for(self, user: UserInfo, namespace: str) -> RuleList:
        """What `user` may do, as far as the authorizers can list it: Node, webhooks and system:masters cannot."""
        found = [rules for link in self._links if (rules := link.rules_for(user, namespace)) is not None]
        return RuleList(
            [rule for rules in found for rule in rules.resource_rules],
            [rule for rules in found for rule in rules.non_resource_rules],
            any(rules.incomplete for rules in found),
            _errors(rules.error for rules in found),
        )


def _joined(one: Decision, other: Decision) -> Decision:
    reasons = "\n".join(filter(None, (one.reason, other.reason)))
    return Decision(False, reasons, error=_errors((one.error, other.error)))


def _errors(texts: Iterable[str]) -> str:
    return ", ".join(filter(None, texts))


_FOLLOWED = frozenset(FOLLOWED)
