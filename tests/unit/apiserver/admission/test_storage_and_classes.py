"""The plugins of storage, default classes, and signing requests."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.unit.apiserver.admission.conftest import Write, refusal
from tests.unit.apiserver.conftest import FakeReader

from knarr.api import registry
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.certificate_requests import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from knarr.apiserver.admission.claim_resize import PersistentVolumeClaimResize
from knarr.apiserver.admission.default_class import DefaultIngressClass, DefaultStorageClass
from knarr.apiserver.admission.storage_protection import StorageObjectInUseProtection
from knarr.apiserver.admission.taint_nodes import TaintNodesByCondition
from knarr.apiserver.authz.decision import Decision, RuleList
from knarr.apiserver.request import RequestInfo, UserInfo

_STORAGE = "storageclass.kubernetes.io/is-default-class"
_INGRESS = "ingressclass.kubernetes.io/is-default-class"


def _class(reader: FakeReader, kind: str, group: str, name: str, created: str = "", **annotations: str) -> None:
    meta = {"name": name, "creationTimestamp": created, "annotations": annotations}
    reader.add(kind, {"metadata": meta}, group)


def test_of_several_default_classes_the_newest_counts(reader: FakeReader, write: Write) -> None:
    def storage(**spec: Any) -> Any:
        obj: Object = {"metadata": {"name": "d"}, "spec": spec}
        DefaultStorageClass().admit(write(obj, registry.PVCS))
        return obj["spec"].get("storageClassName")

    assert storage() is None
    default = {_STORAGE: "true"}
    _class(reader, "storageclasses", "storage.k8s.io", "none", "2026-03-01T00:00:00Z", **{_STORAGE: "false"})
    _class(reader, "storageclasses", "storage.k8s.io", "old", "2026-01-01T00:00:00Z", **default)
    _class(reader, "storageclasses", "storage.k8s.io", "new-b", "2026-02-01T00:00:00Z", **default)
    _class(reader, "storageclasses", "storage.k8s.io", "new-a", "2026-02-01T00:00:00Z", **default)
    assert storage() == "new-a"
    assert storage(storageClassName="") == ""


def test_an_ingress_without_a_class_gets_the_default_one(reader: FakeReader, write: Write) -> None:
    _class(reader, "ingressclasses", "networking.k8s.io", "nginx", **{_INGRESS: "true"})
    plain: Object = {"metadata": {"name": "i"}, "spec": {}}
    marked: Object = {"metadata": {"name": "i", "annotations": {"kubernetes.io/ingress.class": "x"}}, "spec": {}}
    for obj in (plain, marked):
        DefaultIngressClass().admit(write(obj, registry.INGRESSES))
    assert plain["spec"] == {"ingressClassName": "nginx"}
    assert marked["spec"] == {}


@pytest.mark.parametrize(
    ("resource", "finalizer"),
    [(registry.PVCS, "pvc"), (registry.PVS, "pv"), (registry.VOLUMEATTRIBUTESCLASSES, "vac")],
)
def test_storage_in_use_gets_a_finalizer_once(write: Write, resource: Any, finalizer: str) -> None:
    obj: Object = {"metadata": {"name": "x", "finalizers": ["mine"]}}
    for _ in range(2):
        StorageObjectInUseProtection().admit(write(obj, resource))
    assert obj["metadata"]["finalizers"] == ["mine", f"kubernetes.io/{finalizer}-protection"]


def _claim(size: str, phase: str = "Bound", name: str = "gold") -> Object:
    spec = {"storageClassName": name, "resources": {"requests": {"storage": size}}}
    return {"metadata": {"name": "d"}, "spec": spec, "status": {"phase": phase}}


def test_a_claim_grows_only_when_it_is_bound_and_its_class_allows_it(reader: FakeReader, write: Write) -> None:
    def grow(old: Object, new: Object) -> Any:
        return write(new, registry.PVCS, old)

    plugin = PersistentVolumeClaimResize()
    allowed: Object = {"metadata": {"name": "gold"}, "allowVolumeExpansion": True}
    reader.add("storageclasses", allowed, "storage.k8s.io")
    plugin.validate(grow(_claim("1Gi"), _claim("2Gi")))
    plugin.validate(grow(_claim("2Gi", name="tin"), _claim("1Gi", name="tin")))
    unbound = refusal(plugin.validate, grow(_claim("1Gi", "Pending"), _claim("2Gi")))
    assert unbound == "Only bound persistent volume claims can be expanded"
    fixed = refusal(plugin.validate, grow(_claim("1Gi", name="tin"), _claim("2Gi", name="tin")))
    assert fixed.startswith("only dynamically provisioned pvc can be resized")


def test_a_new_node_is_tainted_once(write: Write) -> None:
    node: Object = {"metadata": {"name": "a"}}
    for _ in range(2):
        TaintNodesByCondition().admit(write(node, registry.NODES))
    assert node["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


# signing requests


class _Signers:
    """Allows verbs on signers by name."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed

    def authorize(self, user: UserInfo, info: RequestInfo) -> Decision:
        return Decision(f"{info.verb} {info.name}" in self.allowed)

    def rules_for(self, user: UserInfo, namespace: str) -> RuleList:
        return RuleList([], [])


def _request(signer: str, **status: Any) -> Object:
    return {"metadata": {"name": "r"}, "spec": {"signerName": signer}, "status": status}


def test_approving_and_signing_need_rights_on_the_signer_or_its_domain(write: Write) -> None:
    old = _request("example.com/s")
    approval = write(_request("example.com/s"), registry.CSRS, old, "approval")
    for rights in ("approve example.com/s", "approve example.com/*"):
        CertificateApproval(_Signers(rights)).validate(approval)
    text = refusal(CertificateApproval(_Signers("sign example.com/s")).validate, approval)
    assert text == 'user not permitted to approve requests with signerName "example.com/s"'
    signing = write(_request("example.com/s", certificate="x"), registry.CSRS, old, "status")
    CertificateSigning(_Signers("sign example.com/*")).validate(signing)
    text = refusal(CertificateSigning(_Signers()).validate, signing)
    assert text == 'user not permitted to sign requests with signerName "example.com/s"'
    CertificateSigning(_Signers()).validate(write(old, registry.CSRS, old, "status"))


def test_nobody_asks_for_a_certificate_of_system_masters(write: Write) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def asked(group: str, signer: str) -> Any:
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)])
        built = x509.CertificateSigningRequestBuilder().subject_name(subject)
        pem = built.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(
            serialization.Encoding.PEM
        )
        obj = _request(signer)
        obj["spec"]["request"] = base64.b64encode(pem).decode()
        return write(obj, registry.CSRS)

    client = "kubernetes.io/kube-apiserver-client"
    plugin = CertificateSubjectRestriction()
    plugin.validate(asked("devs", client))
    plugin.validate(asked("system:masters", "example.com/s"))
    text = refusal(plugin.validate, asked("system:masters", client))
    assert text == f"use of {client} signer with system:masters group is not allowed"
