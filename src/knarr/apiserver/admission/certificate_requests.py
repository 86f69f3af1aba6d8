"""CertificateApproval, CertificateSigning, CertificateSubjectRestriction: who may approve and sign what.

Source: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
"""

from __future__ import annotations

from knarr.api.semantics.certificate_requests import CLIENT, parse
from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.plugin import Kinds, new_objects, refuse
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz.decision import Authorizer
from knarr.apiserver.request import RequestInfo

_GROUP = "certificates.k8s.io"
_KINDS: Kinds = frozenset({("certificatesigningrequests", _GROUP)})


class CertificateApproval:
    """Approving needs the verb `approve` on the signer."""

    name = "CertificateApproval"
    kinds = _KINDS

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def validate(self, attributes: Attributes) -> None:
        """Check the approver. Raises `StatusError`."""
        if attributes.operation != "UPDATE" or attributes.subresource != "approval":
            return
        signer = _signer(attributes.old_object)
        if not _may(self._authorizer, attributes, "approve", signer):
            raise refuse(attributes, f"user not permitted to approve requests with signerName {quote(signer)}")


class CertificateSigning:
    """Writing a certificate, or that signing failed, needs the verb `sign` on the signer."""

    name = "CertificateSigning"
    kinds = _KINDS

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def validate(self, attributes: Attributes) -> None:
        """Check the signer. Raises `StatusError`."""
        if attributes.operation != "UPDATE" or attributes.subresource != "status":
            return
        new, old = ((obj or {}).get("status") or {} for obj in (attributes.object, attributes.old_object))
        if all((new.get(part) or None) == (old.get(part) or None) for part in ("certificate", "conditions")):
            return
        signer = _signer(attributes.old_object)
        if not _may(self._authorizer, attributes, "sign", signer):
            raise refuse(attributes, f"user not permitted to sign requests with signerName {quote(signer)}")


class CertificateSubjectRestriction:
    """Nobody gets a client certificate of `system:masters`."""

    name = "CertificateSubjectRestriction"
    kinds = _KINDS
    concerns = staticmethod(new_objects)

    def validate(self, attributes: Attributes) -> None:
        """Look at the organizations that a client certificate is asked for. Raises `StatusError`."""
        obj = attributes.object
        if attributes.operation != "CREATE" or attributes.subresource or _signer(obj) != CLIENT:
            return
        try:
            request = parse(obj or {})
        except ValueError as error:
            raise refuse(attributes, f"failed to parse CSR: {error}") from error
        from cryptography.x509.oid import NameOID

        organizations = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if any(item.value == "system:masters" for item in organizations):
            raise refuse(attributes, f"use of {CLIENT} signer with system:masters group is not allowed")


def _signer(obj: Object | None) -> str:
    return str(((obj or {}).get("spec") or {}).get("signerName") or "")


def _may(authorizer: Authorizer, attributes: Attributes, verb: str, signer: str) -> bool:
    """Ask for the signer itself, then for all of its domain."""
    domain = signer.split("/", 1)[0]
    return any(
        authorizer.authorize(attributes.user, RequestInfo(verb, "", True, _GROUP, "*", "", "signers", "", name)).allowed
        for name in (signer, f"{domain}/*")
    )
