"""Certificate signing requests: what they ask for, and what the signers of Kubernetes grant.

Input: a request in PEM, the usages of a CertificateSigningRequest. Output: what stands in the request; why a signer
refuses it, in Kubernetes' words.
Source: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from knarr.apimachinery.types import Object

if TYPE_CHECKING:
    from cryptography import x509

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
_NODES, _NODE_PREFIX = ["system:nodes"], "system:node:"
_SIGNATURE, _ENCIPHERMENT = "digital signature", "key encipherment"
_PEM = re.compile(rb"-----BEGIN ([^-]+)-----\s.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Requested:
    """Subject and alternative names of a request."""

    common_name: str = ""
    organizations: Sequence[str] = ()
    dns: Sequence[str] = ()
    ips: Sequence[str] = ()
    emails: Sequence[str] = ()
    uris: Sequence[str] = ()


def pem_of(obj: Object) -> bytes:
    """The first PEM block in a CertificateSigningRequest. Raises `ValueError` when that is no request."""
    try:
        text = base64.b64decode((obj.get("spec") or {}).get("request") or "", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    found = _PEM.search(text)
    if found is None or found.group(1) != b"CERTIFICATE REQUEST":
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    return found.group(0) + b"\n"


def parse(obj: Object) -> x509.CertificateSigningRequest:
    """The request in a CertificateSigningRequest. Raises `ValueError`."""
    from cryptography import x509

    return x509.load_pem_x509_csr(pem_of(obj))


def requested(obj: Object) -> Requested:
    """What the request in a CertificateSigningRequest asks for. Raises `ValueError`."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return _requested(parse(obj))
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error


def _requested(request: x509.CertificateSigningRequest) -> Requested:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    subject = request.subject
    names = [str(item.value) for item in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    organizations = [str(item.value) for item in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    try:
        given = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Requested(names[-1] if names else "", organizations)
    return Requested(
        common_name=names[-1] if names else "",
        organizations=organizations,
        dns=given.get_values_for_type(x509.DNSName),
        ips=[str(item) for item in given.get_values_for_type(x509.IPAddress)],
        emails=given.get_values_for_type(x509.RFC822Name),
        uris=given.get_values_for_type(x509.UniformResourceIdentifier),
    )


def refusal(signer: str, asked: Requested, usages: Sequence[str]) -> str:
    """Why a signer of Kubernetes does not sign; empty where it does."""
    if signer == KUBELET_CLIENT:
        return kubelet_client_refusal(asked, usages)
    if signer == KUBELET_SERVING:
        return _kubelet_serving_refusal(asked, usages)
    return _client_refusal(usages) if signer == CLIENT else ""


def kubelet_client_refusal(asked: Requested, usages: Sequence[str]) -> str:
    """Why this is no request for the client certificate of a kubelet; empty where it is."""
    if list(asked.organizations) != _NODES:
        return "subject organization is not system:nodes"
    named = _named(("DNS", asked.dns), ("Email", asked.emails), ("IP", asked.ips), ("URI", asked.uris))
    return named or _node_name(asked) or _usages(usages, "client auth")


def _kubelet_serving_refusal(asked: Requested, usages: Sequence[str]) -> str:
    if list(asked.organizations) != _NODES:
        return "subject organization is not system:nodes"
    if not asked.dns and not asked.ips:
        return "DNS or IP subjectAltName is required"
    named = _named(("Email", asked.emails), ("URI", asked.uris))
    return named or _usages(usages, "server auth") or _node_name(asked)


def _client_refusal(usages: Sequence[str]) -> str:
    for usage in usages:
        if usage not in ("client auth", _SIGNATURE, _ENCIPHERMENT):
            return f"invalid usage for client certificate: {usage}"
    return "" if "client auth" in usages else "missing required usage for client certificate: client auth"


def _named(*parts: tuple[str, Sequence[str]]) -> str:
    for kind, values in parts:
        if values:
            return f"{kind} subjectAltNames are not allowed"
    return ""


def _node_name(asked: Requested) -> str:
    if asked.common_name.startswith(_NODE_PREFIX):
        return ""
    return "subject common name does not begin with system:node:"


def _usages(usages: Sequence[str], purpose: str) -> str:
    """Keys other than RSA encipher no keys: that usage may be left out."""
    if set(usages) in ({purpose, _SIGNATURE, _ENCIPHERMENT}, {purpose, _SIGNATURE}):
        return ""
    return f"usages did not match [{' '.join(sorted((purpose, _SIGNATURE, _ENCIPHERMENT)))}]"
