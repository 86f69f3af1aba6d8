"""The cluster's certificates: authorities, leaf certificates, and keys, in files that only their owner reads.

Leaf keys are ECDSA P-256. `cryptography` is imported when it is first needed: it is slow to load.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

#: Days an authority's own certificate is good for.
AUTHORITY_DAYS = 3650
#: Certificates begin this long ago, for clocks that go slow; a short-lived one by a tenth of its life at most.
_BACKDATE = datetime.timedelta(hours=1)


class KeyPair(NamedTuple):
    """A certificate (chain) and its private key, PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a leaf certificate says. A kubelet's is `system:node:NAME` in organization `system:nodes`."""

    common_name: str
    organizations: Sequence[str] = ()
    dns: Sequence[str] = ()
    ips: Sequence[str] = ()
    server: bool = False
    client: bool = False
    days: float = 365


class Terms(NamedTuple):
    """How leaf files are issued: when, whether those that are good are replaced too, and what they are sent with."""

    now: datetime.datetime
    anew: bool = False
    chain: bytes = b""


class Authority:
    """A certificate authority whose key is at hand."""

    def __init__(self, certificate: bytes, key: bytes) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        self.certificate = certificate
        self.key = key
        self._certificate = x509.load_pem_x509_certificate(certificate)
        self._key = load_pem_private_key(key, None)

    @classmethod
    def load_or_create(cls, directory: Path, name: str, now: datetime.datetime) -> Authority:
        """The authority in `directory/name.crt` and `.key`; made, and written with mode 0600, when absent."""
        certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
        if not (certificate.exists() and key.exists()):
            pair = new_authority(name, now)
            write_private(key, pair.key)
            write_private(certificate, pair.certificate)
        return cls(certificate.read_bytes(), key.read_bytes())

    def issue(self, leaf: Leaf, now: datetime.datetime) -> KeyPair:
        """A new key and its certificate."""
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        return KeyPair(self._sign(leaf, key.public_key(), now), _private_pem(key))

    def sign_request(self, request: bytes, leaf: Leaf, now: datetime.datetime) -> bytes:
        """The certificate for a signing request's key. Who it is for is `leaf`, whatever the request says.

        Raises `ValueError` for a request that is malformed or not signed by its key.
        """
        from cryptography import x509

        parsed = x509.load_pem_x509_csr(request)
        if not parsed.is_signature_valid:
            raise ValueError("the signing request is not signed by its own key")
        return self._sign(leaf, parsed.public_key(), now)

    def _sign(self, leaf: Leaf, public_key: object, now: datetime.datetime) -> bytes:
        from cryptography import x509

        life = datetime.timedelta(days=leaf.days)
        end = min(now + life, self._certificate.not_valid_after_utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(leaf.common_name, leaf.organizations))
            .public_key(public_key)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - min(_BACKDATE, life / 10))
            .not_valid_after(end)
        )
        for extension, critical in _leaf_extensions(leaf):
            builder = builder.add_extension(extension, critical)
        return self.finish(builder)

    def check(self) -> None:
        """Make sure that key and certificate belong together. Raises `ValueError`."""
        if self._key.public_key() != self._certificate.public_key():
            raise ValueError("the key is not that of the certificate")

    @property
    def ends(self) -> datetime.datetime:
        """When the authority's own certificate ends."""
        return self._certificate.not_valid_after_utc

    def finish(self, builder: x509.CertificateBuilder) -> bytes:
        """The certificate (PEM) that lacks only its issuer."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        issuer = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False
        )
        signed = builder.issuer_name(self._certificate.subject).sign(self._key, hashes.SHA256())  # type: ignore[arg-type]
        return signed.public_bytes(serialization.Encoding.PEM)


def new_authority(name: str, now: datetime.datetime) -> KeyPair:
    """A self-signed authority. Two of the same name differ in their subject, so that chains stay clear."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"knarr-{name}@{int(now.timestamp())}", ())
    usage = _key_usage(sign_certificates=True)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + datetime.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key))


def new_request(leaf: Leaf) -> KeyPair:
    """A new key, and the request (PEM) for a certificate with the subject of `leaf`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(leaf.common_name, leaf.organizations))
    request = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return KeyPair(request, _private_pem(key))


def leaf_files(
    authority: Authority, directory: Path, name: str, leaf: Leaf, now: datetime.datetime
) -> tuple[Path, Path]:
    """The paths of `name.crt` and `name.key`, issued again when absent, due for renewal, or not for this leaf."""
    return files_on(Terms(now), authority, directory, name, leaf)


def files_on(terms: Terms, authority: Authority, directory: Path, name: str, leaf: Leaf) -> tuple[Path, Path]:
    """As `leaf_files`, on terms."""
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    there = key.exists() and certificate.exists() and not terms.anew
    if not (there and _still_good(authority, certificate.read_bytes(), leaf, terms.now)):
        pair = authority.issue(leaf, terms.now)
        write_private(key, pair.key)
        write_private(certificate, pair.certificate + terms.chain)
    return certificate, key


def needs_renewal(certificate: bytes, now: datetime.datetime) -> bool:
    """Tell whether less than a third of a certificate's life is left."""
    return now >= moment_of_life(certificate, 2 / 3)


def moment_of_life(certificate: bytes, part: float) -> datetime.datetime:
    """When this part (0 to 1) of a certificate's life is over."""
    from cryptography import x509

    parsed = x509.load_pem_x509_certificate(certificate)
    begin, end = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    return begin + (end - begin) * part


def public_key_pin(certificate: bytes) -> str:
    """The SHA-256 of a certificate's public key, in hex: what a join token pins the authority with."""
    import hashlib

    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    key = x509.load_pem_x509_certificate(certificate).public_key()
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def signing_key(directory: Path, name: str = "service-account") -> bytes:
    """The PEM of the key that signs service-account tokens (RSA 2048, as clients of OpenID Connect expect)."""
    path = directory / f"{name}.key"
    if not path.exists():
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(path, pem)
    return path.read_bytes()


def write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file atomically, with this mode from the first moment on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not through `tempfile`, which loads archive formats: this stands in the way of every start.
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _still_good(authority: Authority, certificate: bytes, leaf: Leaf, now: datetime.datetime) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        parsed = x509.load_pem_x509_certificate(certificate)
        parsed.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
    except (ValueError, TypeError, InvalidSignature):
        return False
    if needs_renewal(certificate, now) or parsed.subject != _name(leaf.common_name, leaf.organizations):
        return False
    wanted = _alternative_names(leaf)
    try:
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return not wanted
    return set(wanted) == set(found)


def _name(common_name: str, organizations: Sequence[str]) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, item) for item in organizations]
    parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(parts)


def _alternative_names(leaf: Leaf) -> list[x509.GeneralName]:
    import ipaddress

    from cryptography import x509

    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys(leaf.dns)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in dict.fromkeys(leaf.ips)]
    return names


def _leaf_extensions(leaf: Leaf) -> list[tuple[x509.ExtensionType, bool]]:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    purposes = []
    if leaf.server:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
    if leaf.client:
        purposes.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(sign_certificates=False), True),
    ]
    if purposes:
        extensions.append((x509.ExtendedKeyUsage(purposes), False))
    names = _alternative_names(leaf)
    if names:
        extensions.append((x509.SubjectAlternativeName(names), False))
    return extensions


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
