"""Signs certificate requests as they are: subject, alternative names and key are the request's.

Whether a request is to be signed is decided elsewhere.
Source: pkg/controller/certificates/authority (PermissiveSigningPolicy).
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

from knarr.component_base.certificates import Authority

if TYPE_CHECKING:
    from cryptography import x509

#: Certificates begin this much earlier, for clocks that go slow.
_BACKDATE = datetime.timedelta(minutes=5)
#: Certificates that live less long end when they were asked to.
_SHORT = datetime.timedelta(hours=8)
#: Bits of the key usage extension (RFC 5280, 4.2.1.3), by Kubernetes' names.
_BITS = {
    "signing": 0,
    "digital signature": 0,
    "content commitment": 1,
    "key encipherment": 2,
    "data encipherment": 3,
    "key agreement": 4,
    "cert sign": 5,
    "crl sign": 6,
    "encipher only": 7,
    "decipher only": 8,
}
_PKIX, _MICROSOFT, _NETSCAPE = "1.3.6.1.5.5.7.3", "1.3.6.1.4.1.311.10.3", "2.16.840.1.113730.4"
#: Extended key usages by Kubernetes' names.
_PURPOSES = {
    "any": "2.5.29.37.0",
    "server auth": f"{_PKIX}.1",
    "client auth": f"{_PKIX}.2",
    "code signing": f"{_PKIX}.3",
    "email protection": f"{_PKIX}.4",
    "s/mime": f"{_PKIX}.4",
    "ipsec end system": f"{_PKIX}.5",
    "ipsec tunnel": f"{_PKIX}.6",
    "ipsec user": f"{_PKIX}.7",
    "timestamping": f"{_PKIX}.8",
    "ocsp signing": f"{_PKIX}.9",
    "microsoft sgc": f"{_MICROSOFT}.3",
    "netscape sgc": f"{_NETSCAPE}.1",
}


def sign(
    authority: Authority, request: bytes, usages: Sequence[str], life: datetime.timedelta, now: datetime.datetime
) -> bytes:
    """The certificate (PEM) for a request (PEM).

    Raises `ValueError` for a request that is malformed or not signed by its key, and for an authority past its end.
    """
    from cryptography import x509

    parsed = x509.load_pem_x509_csr(request)
    if not parsed.is_signature_valid:
        raise ValueError("unable to verify certificate request signature")
    if now >= authority.ends:
        raise ValueError(f"the signer has expired: NotAfter={authority.ends}")
    end = now + (life if life < _SHORT else life - _BACKDATE)
    builder = (
        x509.CertificateBuilder()
        .subject_name(parsed.subject)
        .public_key(parsed.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(min(end, authority.ends))
    )
    for extension, critical in _extensions(parsed, usages):
        builder = builder.add_extension(extension, critical)
    return authority.finish(builder)


def _extensions(
    request: x509.CertificateSigningRequest, usages: Sequence[str]
) -> list[tuple[x509.ExtensionType, bool]]:
    from cryptography import x509

    found: list[tuple[x509.ExtensionType, bool]] = []
    bits = {_BITS[usage] for usage in usages if usage in _BITS}
    if bits:
        # Not through `x509.KeyUsage`, which refuses combinations that Kubernetes signs.
        oid = x509.ObjectIdentifier("2.5.29.15")
        found.append((x509.UnrecognizedExtension(oid, _bit_string(bits)), True))
    purposes = list(dict.fromkeys(_PURPOSES[usage] for usage in usages if usage in _PURPOSES))
    if purposes:
        found.append((x509.ExtendedKeyUsage([x509.ObjectIdentifier(item) for item in purposes]), False))
    found.append((x509.BasicConstraints(ca=False, path_length=None), True))
    names = _names(request)
    # A certificate without a subject is known by these names alone.
    return [*found, (x509.SubjectAlternativeName(names), not list(request.subject))] if names else found


def _names(request: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    """The alternative names, of the kinds that signers look at: nothing else gets into a certificate."""
    from cryptography import x509

    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    kinds = (x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier)
    return [name for name in names if isinstance(name, kinds)]


def _bit_string(bits: set[int]) -> bytes:
    """A DER bit string of named bits: no zeroes at the end."""
    size = max(bits) // 8 + 1
    number = sum(1 << (size * 8 - 1 - bit) for bit in bits)
    return bytes((3, size + 1, size * 8 - 1 - max(bits))) + number.to_bytes(size, "big")
