"""NodeRestriction: a kubelet changes its own node and the pods bound to it, nothing else.

The Node authorizer decides by name; this plugin looks into the objects.
Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
"""

from __future__ import annotations

from collections.abc import Callable

from knarr.api.semantics import certificate_requests
from knarr.apimachinery.errors import not_found
from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.node_labels import forbidden_labels, modified_labels
from knarr.apiserver.admission.node_tokens import check_token_request
from knarr.apiserver.admission.plugin import Kinds, refuse
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz.decision import Authorizer, node_identity
from knarr.apiserver.authz.node_graph import MIRROR_ANNOTATION, pod_references

_NODE_LEASES = "kube-node-lease"
_KUBELET_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
#: Status fields of a claim that a kubelet reports.
_CLAIM_STATUS = frozenset({"capacity", "conditions", "allocatedResourceStatuses", "allocatedResources"})


class NodeRestriction:
    """Limits kubelets."""

    name = "NodeRestriction"
    kinds: Kinds

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._checks: dict[tuple[str, str], Callable[[str, Attributes], None]] = {
            ("pods", ""): _pod,
            ("nodes", ""): _node,
            ("persistentvolumeclaims", ""): _claim,
            ("serviceaccounts", ""): self._service_account,
            ("leases", "coordination.k8s.io"): _lease,
            ("csinodes", "storage.k8s.io"): _csi_node,
            ("resourceslices", "resource.k8s.io"): _resource_slice,
            ("certificatesigningrequests", "certificates.k8s.io"): _signing_request,
        }
        self.kinds = frozenset(self._checks)

    def admit(self, attributes: Attributes) -> None:
        """Check a kubelet's write. Raises `StatusError`."""
        node = node_identity(attributes.user)
        if node is None or attributes.operation == "CONNECT":
            return
        if not node:
            raise refuse(attributes, f"could not determine node from user {quote(attributes.user.name)}")
        self._checks[attributes.kind_key](node, attributes)

    def _service_account(self, node: str, attributes: Attributes) -> None:
        if attributes.operation == "CREATE" and attributes.subresource == "token":
            check_token_request(node, attributes, self._authorizer)


def _name(attributes: Attributes) -> str:
    if attributes.name or attributes.object is None:
        return attributes.name
    return str((attributes.object.get("metadata") or {}).get("name", ""))


def _pod(node: str, attributes: Attributes) -> None:
    if attributes.subresource == "status":
        _pod_status(node, attributes)
    elif attributes.subresource == "eviction":
        _pod_eviction(node, attributes)
    elif attributes.subresource:
        subresource = quote(attributes.subresource)
        why = f"unexpected pod subresource {subresource}, only 'status' and 'eviction' are allowed"
        raise refuse(attributes, why)
    elif attributes.operation == "CREATE":
        _pod_create(node, attributes)
    elif attributes.operation == "DELETE":
        pod = _existing_pod(attributes, attributes.name)
        if (pod.get("spec") or {}).get("nodeName") != node:
            raise refuse(attributes, f"node {quote(node)} can only delete pods with spec.nodeName set to itself")
    else:
        operation = f"unexpected operation {quote(attributes.operation)}"
        raise refuse(attributes, f"{operation}, node {quote(node)} can only create and delete mirror pods")


def _existing_pod(attributes: Attributes, name: str) -> Object:
    pod = attributes.reader.get("pods", "", attributes.namespace, name)
    if pod is None:
        raise not_found("pods", "", name)
    return pod


def _pod_create(node: str, attributes: Attributes) -> None:
    pod = attributes.object or {}
    if MIRROR_ANNOTATION not in (pod["metadata"].get("annotations") or {}):
        why = f'pod does not have "{MIRROR_ANNOTATION}" annotation, node {quote(node)} can only create mirror pods'
        raise refuse(attributes, why)
    if pod["spec"].get("nodeName") != node:
        raise refuse(attributes, f"node {quote(node)} can only create pods with spec.nodeName set to itself")
    _mirror_owner(node, attributes, pod["metadata"].get("ownerReferences") or [])
    if pod["spec"].get("serviceAccountName"):
        raise refuse(attributes, f"node {quote(node)} can not create pods that reference a service account")
    referenced = {resource for resource, name in pod_references(pod) if name}
    for resource in ("secrets", "configmaps"):
        if resource in referenced:
            raise refuse(attributes, f"node {quote(node)} can not create pods that reference {resource}")
    volumes = pod["spec"].get("volumes") or ()
    sources = [source for item in volumes for source in (item.get("projected") or {}).get("sources") or ()]
    if any(source.get("clusterTrustBundle") is not None for source in sources):
        raise refuse(attributes, f"node {quote(node)} can not create pods that reference clustertrustbundles")
    if any(item.get("persistentVolumeClaim") is not None for item in volumes):
        raise refuse(attributes, f"node {quote(node)} can not create pods that reference persistentvolumeclaims")
    if pod["spec"].get("resourceClaims"):
        raise refuse(attributes, f"node {quote(node)} can not create pods that reference resourceclaims")


def _mirror_owner(node: str, attributes: Attributes, owners: list[Object]) -> None:
    """A mirror pod is owned by its node, so that it goes with it."""
    who = f"node {quote(node)}"
    if len(owners) > 1:
        raise refuse(attributes, f"{who} can only create pods with a single owner reference set to itself")
    owner = owners[0] if owners else {}
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
        raise refuse(attributes, f"{who} can only create pods with an owner reference set to itself")
    if not owner.get("controller"):
        raise refuse(attributes, f"{who} can only create pods with a controller owner reference set to itself")
    if owner.get("blockOwnerDeletion"):
        raise refuse(attributes, f"{who} must not set blockOwnerDeletion on an owner reference")
    existing = attributes.reader.get("nodes", "", "", node)
    if existing is None:
        raise not_found("nodes", "", node)
    uid = existing["metadata"].get("uid", "")
    if owner.get("uid") != uid:
        raise refuse(attributes, f"node {node} UID mismatch: expected {owner.get('uid', '')} got {uid}")


def _pod_status(node: str, attributes: Attributes) -> None:
    if attributes.operation != "UPDATE":
        raise refuse(attributes, f"unexpected operation {quote(attributes.operation)}")
    old, new = attributes.old_object or {}, attributes.object or {}
    who = f"node {quote(node)}"
    if (old.get("spec") or {}).get("nodeName") != node:
        raise refuse(attributes, f"{who} can only update pod status for pods with spec.nodeName set to itself")
    if (old["metadata"].get("labels") or {}) != (new["metadata"].get("labels") or {}):
        raise refuse(attributes, f"{who} cannot update labels through pod status")
    claims = [(obj.get("status") or {}).get("resourceClaimStatuses") or [] for obj in (old, new)]
    if claims[0] != claims[1]:
        raise refuse(attributes, f"{who} cannot update resource claim statues")
    extended = [(obj.get("status") or {}).get("extendedResourceClaimStatus") for obj in (old, new)]
    if extended[0] != extended[1]:
        raise refuse(attributes, f"{who} cannot update extended resource claim status")


def _pod_eviction(node: str, attributes: Attributes) -> None:
    if attributes.operation != "CREATE":
        raise refuse(attributes, f"unexpected operation {attributes.operation}")
    name = _name(attributes)
    if not name:
        raise refuse(attributes, "could not determine pod from request data")
    if (_existing_pod(attributes, name).get("spec") or {}).get("nodeName") != node:
        raise refuse(attributes, f"node {node} can only evict pods with spec.nodeName set to itself")


def _claim(node: str, attributes: Attributes) -> None:
    if attributes.subresource != "status":
        raise refuse(attributes, "may only update PVC status")
    if attributes.operation != "UPDATE":
        raise refuse(attributes, f"unexpected operation {quote(attributes.operation)}")
    if _claim_core(attributes.old_object or {}) != _claim_core(attributes.object or {}):
        fields = "status.capacity and status.conditions"
        raise refuse(attributes, f"node {quote(node)} is not allowed to update fields other than {fields}")


def _claim_core(claim: Object) -> Object:
    """A claim without what a kubelet may write, and without the traces of any write."""
    meta = {key: value for key, value in claim["metadata"].items() if key not in ("resourceVersion", "managedFields")}
    status = {key: value for key, value in (claim.get("status") or {}).items() if key not in _CLAIM_STATUS}
    return {**claim, "metadata": meta, "status": status}


def _node(node: str, attributes: Attributes) -> None:
    requested = _name(attributes)
    who = f"node {quote(node)}"
    if requested != node:
        raise refuse(attributes, f"{who} is not allowed to modify node {quote(requested)}")
    new, old = attributes.object or {}, attributes.old_object or {}
    if attributes.operation == "CREATE":
        if (new.get("spec") or {}).get("configSource") is not None:
            raise refuse(attributes, f"{who} is not allowed to create pods with a non-nil configSource")
        bad = forbidden_labels(modified_labels(new["metadata"].get("labels"), None))
        if bad:
            raise refuse(attributes, f"{who} is not allowed to set the following labels: {', '.join(bad)}")
    if attributes.operation == "UPDATE":
        _node_update(who, attributes, new, old)


def _node_update(who: str, attributes: Attributes, new: Object, old: Object) -> None:
    new_spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    source = new_spec.get("configSource")
    if source is not None and source != old_spec.get("configSource"):
        raise refuse(attributes, f"{who} is not allowed to update configSource to a new non-nil configSource")
    if (new_spec.get("taints") or []) != (old_spec.get("taints") or []):
        raise refuse(attributes, f"{who} is not allowed to modify taints")
    bad = forbidden_labels(modified_labels(new["metadata"].get("labels"), old["metadata"].get("labels")))
    if bad:
        raise refuse(attributes, f"is not allowed to modify labels: {', '.join(bad)}")
    if (new["metadata"].get("ownerReferences") or []) != (old["metadata"].get("ownerReferences") or []):
        raise refuse(attributes, f"{who} is not allowed to modify ownerReferences")


def _lease(node: str, attributes: Attributes) -> None:
    if attributes.namespace != _NODE_LEASES:
        raise refuse(attributes, f'can only access leases in the "{_NODE_LEASES}" system namespace')
    if _name(attributes) != node:
        raise refuse(attributes, "can only access node lease with the same name as the requesting node")


def _csi_node(node: str, attributes: Attributes) -> None:
    if _name(attributes) != node:
        raise refuse(attributes, "can only access CSINode with the same name as the requesting node")


def _resource_slice(node: str, attributes: Attributes) -> None:
    obj = {"CREATE": attributes.object, "DELETE": attributes.old_object}.get(attributes.operation)
    if obj is None:
        return
    if (obj.get("spec") or {}).get("nodeName") != node:
        verb = attributes.operation.lower()
        raise refuse(attributes, f"can only {verb} ResourceSlice with the same NodeName as the requesting node")


def _signing_request(_node: str, attributes: Attributes) -> None:
    obj = attributes.object
    if attributes.operation != "CREATE" or attributes.subresource or obj is None:
        return
    if (obj.get("spec") or {}).get("signerName") not in _KUBELET_SIGNERS:
        return
    from cryptography.x509.oid import NameOID

    try:
        names = certificate_requests.parse(obj).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError as error:
        raise refuse(attributes, f"unable to parse csr: {error}") from error
    user = attributes.user.name
    if not names or names[-1].value != user:
        raise refuse(attributes, f"can only create a node CSR with CN={user}")
