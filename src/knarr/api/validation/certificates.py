"""CertificateSigningRequests."""

from __future__ import annotations

import base64
import binascii
import re

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, immutable, items
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import Kind
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
_PEM = re.compile(rb"-----BEGIN ([^-]+)-----\s+(.*?)-----END \1-----", re.DOTALL)
_SIGNER_WRONG = "must be a fully qualified domain and path of the form 'example.com/signer-name'"


def _create(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    wrong = _request_problem(spec.get("request"))
    if wrong:
        errors.append(field.invalid("spec.request", spec.get("request"), wrong))
    usages = items(spec, "usages")
    if not usages:
        errors.append(field.required("spec.usages"))
    for at, usage in enumerate(usages):
        if usage not in _USAGES:
            errors.append(field.not_supported(f"spec.usages[{at}]", usage, _USAGES))
        if usage in usages[:at]:
            errors.append(field.duplicate(f"spec.usages[{at}]", usage))
    signer = spec.get("signerName", "")
    if signer == "kubernetes.io/legacy-unknown":
        wrong = "the legacy signerName is not allowed via this API version"
        errors.append(field.invalid("spec.signerName", signer, wrong))
    else:
        check_signer(errors, signer, "spec.signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < 600:
        wrong = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(field.invalid("spec.expirationSeconds", seconds, wrong))
    _check_conditions(errors, obj)


def _request_problem(encoded: str | None) -> str:
    data = base64.b64decode(encoded or "")
    found = _PEM.search(data)
    if found is None or found[1] != b"CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    from cryptography import x509

    try:
        x509.load_der_x509_csr(base64.b64decode(b"".join(found[2].split())))
    except (ValueError, binascii.Error) as error:
        return f"x509: malformed certificate request: {error}"
    return ""


def check_signer(errors: Errors, signer: str, path: str) -> None:
    """A signer's name: a domain and a path."""
    if not signer:
        errors.append(field.required(path))
        return
    domain, slash, name = signer.partition("/")
    if not slash or not name or "/" in name:
        errors.append(field.invalid(path, signer, _SIGNER_WRONG))
        return
    for text in names.dns_subdomain(domain):
        errors.append(field.invalid(path, domain, f"validating label {field.quote(domain)}: {text}"))
    if "." not in domain:
        errors.append(field.invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    for text in names.dns_subdomain(name):
        errors.append(field.invalid(path, name, f"validating label {field.quote(name)}: {text}"))
    if len(signer) > 571:
        errors.append(field.too_long(path, 571))


def _check_conditions(errors: Errors, obj: Object) -> None:
    conditions = items(obj.get("status") or {}, "conditions")
    seen: list[str] = []
    for at, condition in enumerate(conditions):
        path, kind, status = f"status.conditions[{at}]", condition.get("type", ""), condition.get("status", "")
        if not kind:
            errors.append(field.required(f"{path}.type"))
        if not status:
            errors.append(field.required(f"{path}.status"))
        elif kind in ("Approved", "Denied", "Failed") and status != "True":
            errors.append(field.not_supported(f"{path}.status", status, ("True",)))
        elif status not in ("True", "False", "Unknown"):
            errors.append(field.not_supported(f"{path}.status", status, ("False", "True", "Unknown")))
        other = {"Approved": "Denied", "Denied": "Approved"}.get(kind)
        if other in seen:
            wrong = "Approved and Denied conditions are mutually exclusive"
            errors.append(field.invalid(f"{path}.type", kind, wrong))
        if kind in seen:
            errors.append(field.duplicate(f"{path}.type", kind))
        seen.append(kind)


def _update(errors: Errors, obj: Object, old: Object) -> None:
    _create(errors, obj)
    _check_change(errors, obj, old, may_change=("Failed",), certificate=False)


def _status(errors: Errors, obj: Object, old: Object) -> None:
    _create(errors, obj)
    _check_change(errors, obj, old, may_change=("Failed",), certificate=True)
    certificate = (obj.get("status") or {}).get("certificate")
    if not certificate:
        return
    data = base64.b64decode(certificate)
    if b"-----BEGIN CERTIFICATE-----" not in data:
        wrong = "must contain at least one CERTIFICATE PEM block"
        errors.append(field.invalid("status.certificate", "<certificate data>", wrong))


def _approval(errors: Errors, obj: Object, old: Object) -> None:
    _create(errors, obj)
    _check_change(errors, obj, old, may_change=("Approved", "Denied"), certificate=False)


def _check_change(errors: Errors, obj: Object, old: Object, *, may_change: tuple[str, ...], certificate: bool) -> None:
    shown = internal("certificates.v1.CertificateSigningRequestSpec", obj.get("spec") or {})
    immutable(errors, "spec", obj.get("spec"), old.get("spec"), shown)
    status, before = obj.get("status") or {}, old.get("status") or {}
    if not certificate:
        immutable(
            errors, "status.certificate", status.get("certificate"), before.get("certificate"), "<certificate data>"
        )
    new, had = ({c.get("type", ""): c for c in items(part, "conditions")} for part in (status, before))
    for kind in ("Approved", "Denied", "Failed"):
        quoted = field.quote(kind)
        if kind in had and kind not in new:
            wrong = f"updates may not remove a condition of type {quoted}"
            errors.append(field.forbidden("status.conditions", wrong))
        elif kind in new and kind not in had and kind not in may_change:
            wrong = f"updates may not add a condition of type {quoted}"
            errors.append(field.forbidden("status.conditions", wrong))
        elif kind in new and kind in had and kind not in may_change and new[kind] != had[kind]:
            wrong = f"updates may not modify a condition of type {quoted}"
            errors.append(field.forbidden("status.conditions", wrong))


CERTIFICATESIGNINGREQUESTS = Kind(_create, _update, {"status": _status, "approval": _approval}, name=names.path_segment)
