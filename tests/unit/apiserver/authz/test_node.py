"""The Node authorizer: kubelets reach what their pods refer to."""

from __future__ import annotations

import pytest

from knarr.apimachinery.types import Object
from knarr.apiserver.authz.chain import AuthorizerChain
from knarr.apiserver.authz.decision import Decision, forbidden
from knarr.apiserver.request import RequestInfo, UserInfo

N1 = UserInfo("system:node:n1", ("system:nodes", "system:authenticated"))


def ask(chain: AuthorizerChain, verb: str, resource: str, name: str = "", **more: str) -> Decision:
    resource, _, group = resource.partition(".")
    resource, _, subresource = resource.partition("/")
    info = RequestInfo(
        verb,
        "",
        True,
        group,
        "v1",
        more.get("namespace", "ns"),
        resource,
        subresource,
        name,
        field_selector=more.get("fields", ""),
    )
    return chain.authorize(N1, info)


def pod(name: str, node: str, **spec: object) -> Object:
    return {"metadata": {"namespace": "ns", "name": name}, "spec": {"nodeName": node, **spec}}


@pytest.fixture
def chain() -> AuthorizerChain:
    chain = AuthorizerChain()
    volumes = [
        {"name": "s", "secret": {"secretName": "s"}},
        {"name": "c", "configMap": {"name": "cm"}},
        {"name": "d", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "e", "ephemeral": {}},
        {"name": "p", "projected": {"sources": [{"secret": {"name": "projected"}}]}},
    ]
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}}]
    chain.on_event(
        "pods",
        "",
        "ADDED",
        pod("mine", "n1", volumes=volumes, serviceAccountName="sa", initContainers=[{"name": "i", "env": env}]),
    )
    chain.on_event("pods", "", "ADDED", pod("theirs", "n2", volumes=[{"name": "s", "secret": {"secretName": "t"}}]))
    volume: Object = {
        "metadata": {"name": "pv"},
        "spec": {
            "claimRef": {"namespace": "ns", "name": "claim"},
            "csi": {"nodePublishSecretRef": {"namespace": "storage", "name": "key"}},
        },
    }
    chain.on_event("persistentvolumes", "", "ADDED", volume)
    return chain


@pytest.mark.parametrize(
    ("resource", "name", "namespace"),
    [
        ("secrets", "s", "ns"),
        ("secrets", "env", "ns"),
        ("secrets", "projected", "ns"),
        ("configmaps", "cm", "ns"),
        ("persistentvolumeclaims", "claim", "ns"),
        ("persistentvolumeclaims", "mine-e", "ns"),
        ("persistentvolumes", "pv", ""),
        ("secrets", "key", "storage"),
        ("pods", "mine", "ns"),
        ("serviceaccounts", "sa", "ns"),
    ],
)
def test_what_a_pod_refers_to_can_be_read(chain: AuthorizerChain, resource: str, name: str, namespace: str) -> None:
    assert ask(chain, "get", resource, name, namespace=namespace).allowed
    chain.on_event("pods", "", "DELETED", pod("mine", "n1"))
    assert not ask(chain, "get", resource, name, namespace=namespace).allowed


def test_what_others_refer_to_cannot_be_read(chain: AuthorizerChain) -> None:
    decision = ask(chain, "get", "secrets", "t")
    assert not decision.allowed
    assert decision.reason == "no relationship found between node 'n1' and this object"
    chain.on_event("pods", "", "MODIFIED", pod("theirs", "n1", volumes=[{"name": "s", "secret": {"secretName": "t"}}]))
    assert ask(chain, "get", "secrets", "t").allowed


def test_a_mirror_pod_opens_nothing(chain: AuthorizerChain) -> None:
    mirror = pod("mirror", "n1", volumes=[{"name": "s", "secret": {"secretName": "t"}}])
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    chain.on_event("pods", "", "ADDED", mirror)
    assert not ask(chain, "get", "secrets", "t").allowed
    assert ask(chain, "get", "pods", "mirror").allowed


@pytest.mark.parametrize(
    ("verb", "resource", "name", "more", "reason"),
    [
        ("list", "secrets", "", {}, "No Object name found"),
        ("delete", "secrets", "s", {}, "can only read resources of this type"),
        ("list", "pods", "", {}, "can only list/watch pods with spec.nodeName field selector"),
        (
            "list",
            "pods",
            "",
            {"fields": "spec.nodeName!=n1"},
            "can only list/watch pods with spec.nodeName field selector",
        ),
        ("list", "nodes", "", {}, "node 'n1' cannot read all nodes, only its own Node object"),
        ("get", "nodes", "n2", {}, "node 'n1' cannot read 'n2', only its own Node object"),
        (
            "create",
            "leases.coordination.k8s.io",
            "",
            {},
            'can only access leases in the "kube-node-lease" system namespace',
        ),
        ("create", "serviceaccounts/token", "other", {}, "no relationship found between node 'n1' and this object"),
    ],
)
def test_refusals_say_why(
    chain: AuthorizerChain, verb: str, resource: str, name: str, more: dict[str, str], reason: str
) -> None:
    decision = ask(chain, verb, resource, name, **more)
    assert (decision.allowed, decision.reason) == (False, reason)


@pytest.mark.parametrize(
    ("verb", "resource", "name", "more"),
    [
        ("list", "pods", "", {"fields": "spec.nodeName=n1"}),
        ("watch", "pods", "", {"fields": "status.phase!=Failed,spec.nodeName==n1"}),
        ("list", "nodes", "n1", {}),
        ("patch", "nodes/status", "n1", {}),
        ("update", "leases.coordination.k8s.io", "n1", {"namespace": "kube-node-lease"}),
        ("create", "serviceaccounts/token", "sa", {}),
        ("list", "services", "", {}),
        ("create", "certificatesigningrequests.certificates.k8s.io", "", {}),
    ],
)
def test_a_kubelet_can_do_its_work(
    chain: AuthorizerChain, verb: str, resource: str, name: str, more: dict[str, str]
) -> None:
    assert ask(chain, verb, resource, name, **more).allowed


def test_the_name_alone_makes_no_node(chain: AuthorizerChain) -> None:
    info = RequestInfo("get", "", True, "", "v1", "", "nodes", "", "n1")
    user = UserInfo("system:node:n1", ("system:authenticated",))
    decision = chain.authorize(user, info)
    message = forbidden(user, info, decision).message
    assert message == (
        'nodes "n1" is forbidden: User "system:node:n1" cannot get resource "nodes" '
        'in API group "" at the cluster scope'
    )


def test_paths_and_markup_in_messages() -> None:
    user = UserInfo("<b>")
    error = forbidden(user, RequestInfo("get", "/a&b"), Decision(False))
    assert error.message == 'forbidden: User "&lt;b&gt;" cannot get path "/a&amp;b"'
    assert error.status()["details"] == {}
