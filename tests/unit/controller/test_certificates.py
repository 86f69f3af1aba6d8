"""CertificateSigningRequests: who gets a certificate without being looked at, what is signed, what is cleared away."""

from __future__ import annotations

import base64
import datetime
import ipaddress
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.fakes import world
from tests.fakes.world import World

from knarr.api.registry import CSRS, SUBJECTACCESSREVIEWS
from knarr.apimachinery.types import Object
from knarr.component_base import certificates, request_signing
from knarr.component_base.certificates import Authority
from knarr.controller.certificates import approving, cleaner, signing
from knarr.controller_runtime.changes import Context, Result
from knarr.controller_runtime.controller import Controller
from knarr.controller_runtime.snapshot import Key

NOW = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
CLIENT_USAGES = ("client auth", "digital signature")
NODE = ("system:node:a", ("system:nodes",))
LONGEST = datetime.timedelta(days=365)


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def authority() -> Authority:
    pair = certificates.new_authority("ca", NOW)
    return Authority(pair.certificate, pair.key)


def pem(name: str, groups: Sequence[str], names: Sequence[x509.GeneralName] = ()) -> bytes:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def csr(request: bytes, signer: str, usages: Sequence[str], **spec: Any) -> Object:
    encoded = base64.b64encode(request).decode()
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "r", "uid": "u", "creationTimestamp": "2026-05-01T00:00:00Z"},
        "spec": {"request": encoded, "signerName": f"kubernetes.io/{signer}", "usages": [*usages], **spec},
        "status": {},
    }


def with_condition(request: Object, kind: str, when: str = "2026-05-01T00:00:00Z") -> Object:
    condition = {"type": kind, "status": "True", "reason": "R", "lastUpdateTime": when}
    return {**request, "status": {**request["status"], "conditions": [condition]}}


class One:
    """A snapshot of one object."""

    def __init__(self, obj: Object) -> None:
        self.obj = obj

    def get(self, *_key: Any) -> Object:
        return self.obj


class NoNames:
    def suffix(self) -> str:
        raise AssertionError("no names are needed")


def decide(controller: Controller, request: Object, now: datetime.datetime = NOW) -> Result:
    return controller.reconcile(Key(CSRS, "", "r"), One(request), Context(now, NoNames()))  # type: ignore[arg-type]


def signer() -> Controller:
    def sign(request: bytes, usages: Sequence[str], life: datetime.timedelta, now: datetime.datetime) -> bytes:
        return request_signing.sign(authority(), request, usages, life, now)

    return signing.controller(sign, LONGEST)


def status_of(result: Result) -> Object:
    (change,) = result.changes
    status: Object = change.object["status"]  # type: ignore[union-attr]
    return status


def signed(request: Object) -> x509.Certificate:
    status = status_of(decide(signer(), with_condition(request, "Approved")))
    return x509.load_pem_x509_certificate(base64.b64decode(status["certificate"]))


# approving


@pytest.mark.parametrize(
    ("user", "allowed", "asked", "reason"),
    [
        ("system:node:a", ["selfnodeclient"], ["selfnodeclient"], "self kubelet"),
        ("system:node:a", ["nodeclient"], ["selfnodeclient", "nodeclient"], "approving kubelet"),
        ("system:bootstrap:abcdef", ["nodeclient"], ["nodeclient"], "approving kubelet"),
        ("system:bootstrap:abcdef", ["selfnodeclient"], ["nodeclient"], ""),
    ],
)
def test_a_kubelets_client_certificate_is_approved_when_its_asker_may(
    user: str, allowed: list[str], asked: list[str], reason: str
) -> None:
    questions: list[str] = []

    async def story(town: World) -> None:
        create = town.api.create

        def answering(resource: Any, obj: Object) -> Object:
            if resource is not SUBJECTACCESSREVIEWS:
                return create(resource, obj)
            attributes = obj["spec"]["resourceAttributes"]
            assert obj["spec"]["user"] == user
            assert (attributes["resource"], attributes["verb"]) == ("certificatesigningrequests", "create")
            if attributes["subresource"] not in questions:
                questions.append(attributes["subresource"])
            return {**obj, "status": {"allowed": attributes["subresource"] in allowed}}

        town.api.create = answering  # type: ignore[method-assign]
        town.api.put(CSRS, csr(pem(*NODE), "kube-apiserver-client-kubelet", CLIENT_USAGES, username=user))
        await town.settle()

    town = world.run(story, (approving.CONTROLLER,))
    conditions = town.api.get(CSRS, "", "r")["status"].get("conditions") or []
    assert questions == asked
    assert [item["type"] for item in conditions] == (["Approved"] if reason else [])
    assert all(reason in item["message"] and item["reason"] == "AutoApproved" for item in conditions)


@pytest.mark.parametrize(
    "request_",
    [
        csr(pem("system:node:a", ["system:masters"]), "kube-apiserver-client-kubelet", CLIENT_USAGES),
        csr(pem("admin", ["system:nodes"]), "kube-apiserver-client-kubelet", CLIENT_USAGES),
        csr(pem(*NODE), "kube-apiserver-client-kubelet", ("client auth", "server auth")),
        csr(pem(*NODE), "kube-apiserver-client", CLIENT_USAGES),
        csr(pem(*NODE, [x509.DNSName("kubernetes")]), "kube-apiserver-client-kubelet", CLIENT_USAGES),
        csr(b"garbage", "kube-apiserver-client-kubelet", CLIENT_USAGES),
        with_condition(csr(pem(*NODE), "kube-apiserver-client-kubelet", CLIENT_USAGES), "Denied"),
    ],
)
def test_nobody_is_asked_about_other_requests(request_: Object) -> None:
    assert decide(approving.CONTROLLER, request_) == Result()


# signing


def test_a_client_certificate_is_the_requests() -> None:
    request = csr(pem("jane", ["dev", "ops"]), "kube-apiserver-client", ("client auth",), expirationSeconds=3600)
    found = signed(request)
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority().certificate))
    assert found.subject.rfc4514_string() == "CN=jane,O=ops,O=dev"
    assert found.public_key() == key().public_key()
    assert found.not_valid_before_utc == NOW - datetime.timedelta(minutes=5)
    assert found.not_valid_after_utc == NOW + datetime.timedelta(hours=1)
    purposes = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    ("asked", "life"),
    [(None, LONGEST), (2**31 - 1, LONGEST), (1, datetime.timedelta(minutes=10)), (864000, datetime.timedelta(days=10))],
)
def test_nobody_lives_longer_than_the_signer_gives(asked: int | None, life: datetime.timedelta) -> None:
    spec = {} if asked is None else {"expirationSeconds": asked}
    found = signed(csr(pem("jane", ()), "kube-apiserver-client", ("client auth",), **spec))
    backdated = datetime.timedelta() if life < datetime.timedelta(hours=8) else datetime.timedelta(minutes=5)
    assert found.not_valid_after_utc == NOW + life - backdated


def test_a_serving_certificate_keeps_its_names_and_usages() -> None:
    names = [x509.DNSName("a"), x509.IPAddress(ipaddress.ip_address("10.0.0.1"))]
    strange = x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\x0c\x01x")
    usages = ("server auth", "key encipherment", "digital signature")
    found = signed(csr(pem(*NODE, [*names, strange]), "kubelet-serving", usages))
    assert list(found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == names
    usage = found.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, True, False)


@pytest.mark.parametrize(
    ("signer_name", "asked", "usages", "why"),
    [
        ("kube-apiserver-client", pem("j", ()), ("server auth",), "invalid usage for client certificate: server auth"),
        (
            "kube-apiserver-client",
            pem("j", ()),
            ("digital signature",),
            "missing required usage for client certificate: client auth",
        ),
        ("kubelet-serving", pem(*NODE), ("server auth",), "DNS or IP subjectAltName is required"),
        (
            "kubelet-serving",
            pem(*NODE, [x509.DNSName("a")]),
            ("server auth",),
            "usages did not match [digital signature key encipherment server auth]",
        ),
        (
            "kube-apiserver-client-kubelet",
            pem("system:node:a", ["x"]),
            CLIENT_USAGES,
            "subject organization is not system:nodes",
        ),
    ],
)
def test_what_a_signer_does_not_sign_fails_with_the_reason(
    signer_name: str, asked: bytes, usages: Sequence[str], why: str
) -> None:
    status = status_of(decide(signer(), with_condition(csr(asked, signer_name, usages), "Approved")))
    assert "certificate" not in status
    failed = status["conditions"][-1]
    assert (failed["type"], failed["reason"], failed["message"]) == ("Failed", "SignerValidationFailure", why)


def test_nothing_is_signed_that_is_not_approved_or_another_signers() -> None:
    request = csr(pem("jane", ()), "kube-apiserver-client", ("client auth",))
    other = {**request, "spec": {**request["spec"], "signerName": "example.com/s"}}
    assert decide(signer(), request) == Result()
    assert decide(signer(), with_condition(other, "Approved")) == Result()
    assert decide(signer(), with_condition(request, "Denied")) == Result()


def test_a_request_that_its_key_did_not_sign_is_refused() -> None:
    der = bytearray(x509.load_pem_x509_csr(pem("jane", ())).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(ValueError, match="unable to verify"):
        request_signing.sign(authority(), forged, (), LONGEST, NOW)


# cleaning


@pytest.mark.parametrize(
    ("conditions", "issued", "hours"),
    [((), False, 24), (("Denied",), False, 1), (("Failed",), False, 1), (("Approved",), True, 1)],
)
def test_requests_go_in_time(conditions: Sequence[str], issued: bool, hours: int) -> None:  # noqa: FBT001
    request = csr(pem("jane", ()), "kube-apiserver-client", ("client auth",))
    for kind in conditions:
        request = with_condition(request, kind)
    if issued:
        request["status"]["certificate"] = base64.b64encode(authority().certificate).decode()
    life = datetime.timedelta(hours=hours)
    early = decide(cleaner.CONTROLLER, request, NOW + life - datetime.timedelta(seconds=1))
    assert (early.changes, early.requeue_after) == ((), 1)
    assert [type(change).__name__ for change in decide(cleaner.CONTROLLER, request, NOW + life).changes] == ["Delete"]


def test_an_approved_request_waits_for_its_signer() -> None:
    request = with_condition(csr(pem("jane", ()), "kube-apiserver-client", ("client auth",)), "Approved")
    assert decide(cleaner.CONTROLLER, request, NOW + datetime.timedelta(days=30)) == Result()
