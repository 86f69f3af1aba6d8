"""The authorizers in their order: system:masters, then Node, then RBAC."""

from __future__ import annotations

from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.authz.decision import MASTERS, Decision, RuleList, node_identity
from knarr.apiserver.authz.node import NodeAuthorizer
from knarr.apiserver.authz.node_graph import NodeGraph
from knarr.apiserver.authz.rbac import GROUP, RbacIndex
from knarr.apiserver.request import RequestInfo, UserInfo

_ALLOWED = Decision(True)

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

    def authorize(self, user: UserInfo, info: RequestInfo) -> Decision:
        """Tell whether `user` may do this. The first that allows decides; the reasons of refusals are joined."""
        if MASTERS in user.groups:
            return _ALLOWED
        by_node = self.node.authorize(user, info)
        if by_node is not None and by_node.allowed:
            return by_node
        decision = self.rbac.authorize(user, info)
        if decision.allowed or by_node is None or not by_node.reason:
            return decision
        return Decision(False, "\n".join(filter(None, (by_node.reason, decision.reason))))

    def rules_for(self, user: UserInfo, namespace: str) -> RuleList:
        """What `user` may do, by RBAC: Node and system:masters cannot list their rules."""
        found = self.rbac.rules_for(user, namespace)
        if node_identity(user) is None:
            return found
        error = ", ".join(filter(None, ("node authorizer does not support user rule resolution", found.error)))
        return RuleList(found.resource_rules, found.non_resource_rules, True, error)


_FOLLOWED = frozenset(FOLLOWED)
