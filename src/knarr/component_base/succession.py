"""A new authority takes the place of an old one while everybody goes on trusting what he trusts.

The new authority's certificate stands before the old one in the bundle (`NAME.crt`) that clients and servers are given
from now on. Whoever knows only the old one can follow a chain all the same: the old key has signed the new authority's
(`NAME-cross.crt`), and leaf certificates are sent with that.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from knarr.component_base import certificates
from knarr.component_base.certificates import Authority, KeyPair


def announce(directory: Path, name: str, now: datetime.datetime, given: KeyPair | None = None) -> None:
    """Lay a successor beside authority `name`, to be taken over by `adopt`: a new one, or `given`.

    Raises `ValueError` for a given one that is no authority, `OSError`.
    """
    old = Authority((directory / f"{name}.crt").read_bytes(), (directory / f"{name}.key").read_bytes())
    pair = given or certificates.new_authority(name, now)
    cross = _cross(old, pair, now)
    certificates.write_private(directory / f"{name}-cross.crt", cross)
    certificates.write_private(directory / f"{name}-next.key", pair.key)
    certificates.write_private(directory / f"{name}-next.crt", pair.certificate + old.certificate)


def adopt(directory: Path, name: str) -> bool:
    """Let the announced successor take over, if there is one. An end in the middle is gone on from by the next call."""
    certificate, key = directory / f"{name}-next.crt", directory / f"{name}-next.key"
    if not certificate.exists():
        # An announcement that was not finished.
        key.unlink(missing_ok=True)
        return False
    if key.exists():
        key.replace(directory / f"{name}.key")
    certificate.replace(directory / f"{name}.crt")
    return True


def chain(directory: Path, name: str) -> bytes:
    """What leaf certificates are sent with, so that who knows the predecessor alone trusts them too."""
    path = directory / f"{name}-cross.crt"
    return path.read_bytes() if path.exists() else b""


def _cross(old: Authority, pair: KeyPair, now: datetime.datetime) -> bytes:
    """The successor's certificate as its predecessor signs it. Raises `ValueError`."""
    from cryptography import x509

    new = x509.load_pem_x509_certificate(pair.certificate)
    try:
        if not new.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise ValueError("the certificate is not an authority's")
    except x509.ExtensionNotFound as error:
        raise ValueError("the certificate is not an authority's") from error
    Authority(pair.certificate, pair.key).check()
    builder = (
        x509.CertificateBuilder()
        .subject_name(new.subject)
        .public_key(new.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(min(new.not_valid_after_utc, old.ends))
    )
    for extension in new.extensions:
        if not isinstance(extension.value, x509.AuthorityKeyIdentifier):
            builder = builder.add_extension(extension.value, extension.critical)
    return old.finish(builder)
