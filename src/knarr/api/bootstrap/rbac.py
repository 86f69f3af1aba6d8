"""The roles and bindings that every cluster has, made from the tables beside this file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from knarr.api.bootstrap.cluster_roles import CLUSTER_ROLES
from knarr.api.bootstrap.controller_roles import CONTROLLER_ROLES, NAMESPACE_ROLES
from knarr.apimachinery.types import Object

GROUP = "rbac.authorization.k8s.io"
API_VERSION = f"{GROUP}/v1"
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"

#: Cluster roles whose rules are collected from others, and the role each of them is itself collected into.
AGGREGATED = {"admin": "", "edit": "admin", "view": "edit"}

#: Cluster roles that are collected into another one.
_PARTS = {"system:aggregate-to-admin": "admin", "system:aggregate-to-edit": "edit", "system:aggregate-to-view": "view"}

#: Cluster role bindings: the role of the same name, and its subjects. `ns:name` is a ServiceAccount.
_CLUSTER_BINDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "cluster-admin": (("Group", "system:masters"),),
    "system:basic-user": (("Group", "system:authenticated"),),
    "system:discovery": (("Group", "system:authenticated"),),
    "system:kube-controller-manager": (("User", "system:kube-controller-manager"),),
    "system:kube-dns": (("ServiceAccount", "kube-dns"),),
    "system:kube-scheduler": (("User", "system:kube-scheduler"),),
    "system:monitoring": (("Group", "system:monitoring"),),
    "system:node": (),
    "system:node-proxier": (("User", "system:kube-proxy"),),
    "system:public-info-viewer": (("Group", "system:authenticated"), ("Group", "system:unauthenticated")),
    "system:service-account-issuer-discovery": (("Group", "system:serviceaccounts"),),
    "system:volume-scheduler": (("User", "system:kube-scheduler"),),
}

#: knarr's own: what a node's proxy, DNS and network read beside `system:node-proxier`; its own controllers.
_OWN_ROLES: dict[str, tuple[str, ...]] = {
    "knarr:controller:cluster-dns-controller": (
        "create core services",
        "create,delete,get,list,update,watch discovery.k8s.io endpointslices",
        "update core services/finalizers",
        "create,patch,update core,events.k8s.io events",
    ),
    "knarr:controller:local-path-provisioner": (
        "create,delete,get,list,watch core persistentvolumes",
        "get,list,update,watch core persistentvolumeclaims",
        "create,delete,get,list,watch core pods",
        "list,watch core namespaces,nodes",
        "create,list,watch storage.k8s.io storageclasses",
        "create,patch,update core,events.k8s.io events",
    ),
    "knarr:node-services": (
        "list,watch core namespaces",
        "get,list,watch core nodes",
        "list,watch core services",
        "list,watch discovery.k8s.io endpointslices",
        "list,watch networking.k8s.io networkpolicies",
    ),
}
_OWN_BINDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "knarr:controller:cluster-dns-controller": (("ServiceAccount", "cluster-dns-controller"),),
    "knarr:controller:local-path-provisioner": (("ServiceAccount", "local-path-provisioner"),),
    "knarr:node-services": (("Group", "knarr:node-services"),),
    "knarr:node-certificate-rotation": (("Group", "system:nodes"),),
}
#: The roles of bindings that are called otherwise.
_ROLE_OF = {"knarr:node-certificate-rotation": "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"}

_MANAGER, _SCHEDULER = "system::leader-locking-kube-controller-manager", "system::leader-locking-kube-scheduler"
_READER = "extension-apiserver-authentication-reader"

#: Role bindings: (namespace, name, role, subjects).
_BINDINGS: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "kube-public",
        "system:controller:bootstrap-signer",
        "system:controller:bootstrap-signer",
        (("ServiceAccount", "bootstrap-signer"),),
    ),
    (
        "kube-system",
        f"system::{_READER}",
        _READER,
        (("User", "system:kube-controller-manager"), ("User", "system:kube-scheduler")),
    ),
    (
        "kube-system",
        _MANAGER,
        _MANAGER,
        (
            ("User", "system:kube-controller-manager"),
            ("ServiceAccount", "kube-controller-manager"),
            ("ServiceAccount", "leader-election-controller"),
        ),
    ),
    (
        "kube-system",
        _SCHEDULER,
        _SCHEDULER,
        (("User", "system:kube-scheduler"), ("ServiceAccount", "kube-scheduler")),
    ),
    *(
        ("kube-system", f"system:controller:{name}", f"system:controller:{name}", (("ServiceAccount", name),))
        for name in ("bootstrap-signer", "cloud-provider", "token-cleaner")
    ),
)


def objects() -> Iterator[Object]:
    """All of them, roles before bindings."""
    yield from cluster_roles()
    for key, rules in NAMESPACE_ROLES.items():
        namespace, name = key.split("/", 1)
        yield {**_head("Role", name, namespace), "rules": rules_of(rules)}
    for name, subjects in {**_CLUSTER_BINDINGS, **_OWN_BINDINGS}.items():
        yield _binding("ClusterRoleBinding", name, "", ("ClusterRole", _ROLE_OF.get(name, name)), subjects)
    for controller in CONTROLLER_ROLES:
        name = f"system:controller:{controller}"
        role = ("ClusterRole", name)
        yield _binding("ClusterRoleBinding", name, "", role, (("ServiceAccount", controller),))
    for namespace, name, role_name, subjects in _BINDINGS:
        yield _binding("RoleBinding", name, namespace, ("Role", role_name), subjects)


def cluster_roles() -> Iterator[Object]:
    """The cluster roles."""
    for name, into in AGGREGATED.items():
        role = _head("ClusterRole", name, "", into)
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {_AGGREGATE + name: "true"}}]}
        yield {**role, "rules": None}
    for name, rules in {**CLUSTER_ROLES, **_OWN_ROLES}.items():
        yield {**_head("ClusterRole", name, "", _PARTS.get(name, "")), "rules": rules_of(rules)}
    for controller, rules in CONTROLLER_ROLES.items():
        yield {**_head("ClusterRole", f"system:controller:{controller}", ""), "rules": rules_of(rules)}


def _head(kind: str, name: str, namespace: str, into: str = "") -> Object:
    # What Kubernetes does not have must not look like a default of Kubernetes.
    labels = {"kubernetes.io/bootstrapping": "knarr-defaults" if name.startswith("knarr:") else "rbac-defaults"}
    if into:
        labels[_AGGREGATE + into] = "true"
    meta: Object = {
        "name": name,
        "labels": labels,
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }
    if namespace:
        meta["namespace"] = namespace
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": meta}


def _binding(
    kind: str, name: str, namespace: str, role: tuple[str, str], subjects: Iterable[tuple[str, str]]
) -> Object:
    out = _head(kind, name, namespace)
    found = [_subject(*subject) for subject in subjects]
    if found:
        out["subjects"] = found
    out["roleRef"] = {"apiGroup": GROUP, "kind": role[0], "name": role[1]}
    return out


def _subject(kind: str, name: str) -> Object:
    if kind == "ServiceAccount":
        return {"kind": kind, "name": name, "namespace": "kube-system"}
    return {"kind": kind, "apiGroup": GROUP, "name": name}


def rules_of(lines: Iterable[str]) -> list[Object]:
    """Rules from their short form: `verbs groups resources [names]` or `verbs paths urls`."""
    return [_rule(line) for line in lines]


def _rule(line: str) -> Object:
    verbs, groups, resources, *names = line.split(" ")
    if groups == "paths":
        return {"verbs": verbs.split(","), "nonResourceURLs": resources.split(",")}
    rule: Object = {
        "verbs": verbs.split(","),
        "apiGroups": ["" if group == "core" else group for group in groups.split(",")],
        "resources": resources.split(","),
    }
    if names:
        rule["resourceNames"] = names[0].split(",")
    return rule
