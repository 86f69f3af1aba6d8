"""Certificates: what is issued is valid for TLS, private, and renewed in time."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest

from knarr.component_base.certificates import (
    Authority,
    Leaf,
    leaf_files,
    needs_renewal,
    public_key_pin,
    signing_key,
    write_private,
)
from knarr.component_base.clock import RealClock

NOW = RealClock().now()  # TLS below compares with the real clock
SERVER = Leaf("kube-apiserver", dns=["kubernetes", "localhost"], ips=["127.0.0.1", "::1"], server=True)
CLIENT = Leaf("system:node:n1", ["system:nodes", "more"], client=True)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """A TLS handshake in memory; gives the server's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name)
    two = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (one, two):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return two


def contexts(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    servers = Authority.load_or_create(directory, "server-ca", NOW)
    clients = Authority.load_or_create(directory, "client-ca", NOW)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*leaf_files(servers, directory, "server", SERVER, NOW))
    server.verify_mode = ssl.CERT_OPTIONAL
    server.load_verify_locations(directory / "client-ca.crt")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(directory / "server-ca.crt")
    client.load_cert_chain(*leaf_files(clients, directory, "client", CLIENT, NOW))
    return server, client


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_both_sides_know_each_other(tmp_path: Path, name: str) -> None:
    certificate = handshake(*contexts(tmp_path), name).getpeercert()
    assert certificate is not None
    subject = [pair for part in certificate["subject"] for pair in part]
    assert subject == [
        ("organizationName", "system:nodes"),
        ("organizationName", "more"),
        ("commonName", "system:node:n1"),
    ]


def test_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(*contexts(tmp_path), "example.com")


def test_keys_are_private_and_kept(tmp_path: Path) -> None:
    contexts(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    contexts(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


@pytest.mark.parametrize(
    ("leaf", "days", "renewed"),
    [
        (SERVER, 0, False),
        (SERVER, 240, False),
        (SERVER, 250, True),
        (Leaf("kube-apiserver", dns=["other"], server=True), 0, True),
        (Leaf("other", dns=SERVER.dns, ips=SERVER.ips, server=True), 0, True),
    ],
)
def test_leaves_are_renewed_when_due_or_changed(tmp_path: Path, leaf: Leaf, days: int, renewed: bool) -> None:
    authority = Authority.load_or_create(tmp_path, "ca", NOW)
    before = leaf_files(authority, tmp_path, "leaf", SERVER, NOW)[0].read_bytes()
    after = leaf_files(authority, tmp_path, "leaf", leaf, NOW + datetime.timedelta(days=days))[0].read_bytes()
    assert (before != after) is renewed


def test_a_new_authority_replaces_its_leaves(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path, "ca", NOW)
    before = leaf_files(authority, tmp_path, "leaf", SERVER, NOW)[0].read_bytes()
    (tmp_path / "ca.key").unlink()
    other = Authority.load_or_create(tmp_path, "ca", NOW)
    assert other.certificate != authority.certificate
    assert leaf_files(other, tmp_path, "leaf", SERVER, NOW)[0].read_bytes() != before
    assert public_key_pin(other.certificate) != public_key_pin(authority.certificate)


def test_a_leaf_does_not_outlive_its_authority(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path, "ca", NOW)
    pair = authority.issue(Leaf("x", client=True, days=9999), NOW)
    assert needs_renewal(pair.certificate, NOW + datetime.timedelta(days=3000))


def test_signing_a_request_uses_its_key_and_our_subject(tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system:masters")])
    )
    request = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    authority = Authority.load_or_create(tmp_path, "ca", NOW)
    signed = x509.load_pem_x509_certificate(authority.sign_request(request, CLIENT, NOW))
    assert signed.public_key() == key.public_key()
    assert signed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:n1"
    with pytest.raises(ValueError, match=r".+"):
        authority.sign_request(b"nonsense", CLIENT, NOW)


def test_the_signing_key_is_kept(tmp_path: Path) -> None:
    assert signing_key(tmp_path) == signing_key(tmp_path)
    assert (tmp_path / "service-account.key").stat().st_mode & 0o777 == 0o600


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_private(target, b"old")
    with pytest.raises(TypeError):
        write_private(target, "text")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
