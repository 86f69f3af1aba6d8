"""The Node authorizer: what a kubelet may do, by the pods that run on it.

Input: a user and a request, the graph of objects around nodes. Output: a decision; None for who is no kubelet.
Source: https://kubernetes.io/docs/reference/access-authn-authz/node/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from knarr.apiserver.authz.bootstrap import NODE_RULES
from knarr.apiserver.authz.decision import Decision, RuleList, node_identity
from knarr.apiserver.authz.node_graph import NodeGraph
from knarr.apiserver.authz.rules import RuleSet
from knarr.apiserver.request import RequestInfo, UserInfo

_ALLOWED = Decision(True)
_REFUSED = Decision(False)
_LEASE_NAMESPACE = "kube-node-lease"
#: Writes of pods by subresource; NodeRestriction sees to it that they are the node's own.
_POD_WRITES = {"": ("create", "delete"), "status": ("update", "patch"), "eviction": ("create",)}
_OWN_VERBS = frozenset({"get", "create", "update", "patch", "delete"})
_Rule: TypeAlias = Callable[["NodeAuthorizer", str, RequestInfo], Decision]


class NodeAuthorizer:
    """Decides for kubelets; has no opinion on anybody else."""

    def __init__(self, graph: NodeGraph) -> None:
        self.graph = graph
        self._rules = RuleSet(NODE_RULES)

    def authorize(self, user: UserInfo, info: RequestInfo) -> Decision | None:
        """Tell whether this kubelet may do this. None when `user` is no kubelet."""
        node = node_identity(user)
        if node is None:
            return None
        if not node:
            return Decision(False, f'unknown node for user "{user.name}"')
        if info.is_resource:
            rule = _RULES.get((info.resource, info.group))
            if rule is not None:
                return rule(self, node, info)
        return _ALLOWED if self._rules.allows(info) else _REFUSED

    def rules_for(self, user: UserInfo, _namespace: str) -> RuleList | None:
        """A kubelet's rules depend on its pods: they cannot be listed."""
        if node_identity(user) is None:
            return None
        return RuleList([], [], True, "node authorizer does not support user rule resolution")

    def related(self, node: str, info: RequestInfo) -> Decision:
        """Allowed when something on the node refers to the object."""
        if not info.name:
            return Decision(False, "No Object name found")
        if self.graph.related(node, (info.resource, info.namespace, info.name)):
            return _ALLOWED
        return Decision(False, f"no relationship found between node '{node}' and this object")


def _read_namespaced(self: NodeAuthorizer, node: str, info: RequestInfo) -> Decision:
    if info.verb not in ("get", "list", "watch"):
        return Decision(False, "can only read resources of this type")
    if info.subresource:
        return Decision(False, "cannot read subresource")
    if not info.namespace:
        return Decision(False, "can only read namespaced object of this type")
    return self.related(node, info)


def _get(self: NodeAuthorizer, node: str, info: RequestInfo) -> Decision:
    if info.verb != "get":
        return Decision(False, "can only get individual resources of this type")
    if info.subresource:
        return Decision(False, "cannot get subresource")
    return self.related(node, info)


def _claim(self: NodeAuthorizer, node: str, info: RequestInfo) -> Decision:
    if info.subresource != "status":
        return _get(self, node, info)
    if info.verb not in ("update", "patch"):
        return Decision(False, "can only get/update/patch this type")
    return self.related(node, info)


def _service_account(self: NodeAuthorizer, node: str, info: RequestInfo) -> Decision:
    if info.verb == "get" and not info.subresource:
        return self.related(node, info)
    if info.verb != "create" or not info.name:
        return Decision(False, "can only create tokens for individual service accounts")
    if info.subresource != "token":
        return Decision(False, "can only create token subresource of serviceaccount")
    return self.related(node, info)


def _lease(_self: NodeAuthorizer, node: str, info: RequestInfo) -> Decision:
    if info.verb not in _OWN_VERBS:
        return Decision(False, "can only get, create, update, patch, or delete a node lease")
    if info.namespace != _LEASE_NAMESPACE:
        return Decision(False, f'can only access leases in the "{_LEASE_NAMESPACE}" system namespace')
    # The name of a new object is not known yet; NodeRestriction looks at it.
    if info.verb != "create" and info.name != node:
        return Decision(False, "can only access node lease with the same name as the requesting node")
    return _ALLOWED


def _csi_node(_self: NodeAuthorizer, node: str, info: RequestInfo) -> Decision:
    if info.verb not in _OWN_VERBS:
        return Decision(False, "can only get, create, update, patch, or delete a CSINode")
    if info.subresource:
        return Decision(False, "cannot authorize CSINode subresources")
    if info.verb != "create" and info.name != node:
        return Decision(False, "can only access CSINode with the same name as the requesting node")
    return _ALLOWED


def _resource_slice(self: NodeAuthorizer, node: str, info: RequestInfo) -> Decision:
    if info.subresource:
        return Decision(False, "cannot authorize ResourceSlice subresources")
    if info.verb == "create":
        return _ALLOWED
    if info.verb in ("get", "update", "patch", "delete"):
        return self.related(node, info)
    if info.verb not in ("watch", "list", "deletecollection"):
        verbs = "get, watch, list, create, update, patch, delete, deletecollection"
        return Decision(False, f"only the following verbs are allowed for a ResourceSlice: {verbs}")
    if _selects(info, "spec.nodeName", node):
        return _ALLOWED
    return Decision(False, "can only list/watch/deletecollection resourceslices with nodeName field selector")


def _node(_self: NodeAuthorizer, node: str, info: RequestInfo) -> Decision:
    if info.subresource == "status":
        return _ALLOWED if info.verb in ("update", "patch") else _REFUSED
    if info.subresource:
        return _REFUSED
    if info.verb in ("create", "update", "patch"):
        return _ALLOWED
    if info.verb not in ("get", "list", "watch"):
        return _REFUSED
    if info.name == node:
        return _ALLOWED
    if not info.name:
        return Decision(False, f"node '{node}' cannot read all nodes, only its own Node object")
    return Decision(False, f"node '{node}' cannot read '{info.name}', only its own Node object")


def _pod(self: NodeAuthorizer, node: str, info: RequestInfo) -> Decision:
    verb = info.verb
    if verb in _POD_WRITES.get(info.subresource, ()):
        return _ALLOWED
    if info.subresource:
        return _REFUSED
    if verb == "get":
        return self.related(node, info)
    if verb not in ("list", "watch"):
        return _REFUSED
    if _selects(info, "spec.nodeName", node):
        return _ALLOWED
    if info.name:
        return self.related(node, info)
    return Decision(False, "can only list/watch pods with spec.nodeName field selector")


def _pod_certificate_request(self: NodeAuthorizer, node: str, info: RequestInfo) -> Decision:
    if info.subresource:
        return Decision(False, "nodes may not access the status subresource of PodCertificateRequests")
    if info.verb == "create":
        return _ALLOWED
    if info.verb == "get":
        return self.related(node, info)
    if info.verb not in ("list", "watch"):
        return Decision(False, "nodes may only create, get, list and watch PodCertificateRequests")
    if _selects(info, "spec.nodeName", node):
        return _ALLOWED
    return Decision(False, "can only list/watch podcertificaterequests with nodeName field selector")


def _selects(info: RequestInfo, field: str, value: str) -> bool:
    """Tell whether the field selector demands this value."""
    for part in info.field_selector.split(","):
        name, sign, wanted = part.partition("==" if "==" in part else "=")
        if sign and not name.endswith("!") and name.strip() == field and wanted.strip() == value:
            return True
    return False


_RULES: dict[tuple[str, str], _Rule] = {
    ("secrets", ""): _read_namespaced,
    ("configmaps", ""): _read_namespaced,
    ("persistentvolumeclaims", ""): _claim,
    ("persistentvolumes", ""): _get,
    ("resourceclaims", "resource.k8s.io"): _get,
    ("volumeattachments", "storage.k8s.io"): _get,
    ("serviceaccounts", ""): _service_account,
    ("leases", "coordination.k8s.io"): _lease,
    ("csinodes", "storage.k8s.io"): _csi_node,
    ("resourceslices", "resource.k8s.io"): _resource_slice,
    ("nodes", ""): _node,
    ("pods", ""): _pod,
    ("podcertificaterequests", "certificates.k8s.io"): _pod_certificate_request,
}
