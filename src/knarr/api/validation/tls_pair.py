"""Whether a certificate and a key belong together, in Go's words."""

from __future__ import annotations

import base64

_NO_CERTIFICATE = "tls: failed to find any PEM data in certificate input"
_NO_KEY = "tls: failed to find any PEM data in key input"
_MISMATCH = "tls: private key does not match public key"


def problem(certificate: str, key: str) -> str:
    """What Go's `tls.X509KeyPair` says of the two (base64 of PEM); empty when they are a pair."""
    chain, secret = base64.b64decode(certificate), base64.b64decode(key)
    if b"-----BEGIN " not in chain:
        return _NO_CERTIFICATE
    if b"-----BEGIN CERTIFICATE-----" not in chain:
        kind = chain.partition(b"-----BEGIN ")[2].partition(b"-----")[0].decode(errors="replace")
        skipped = f"after skipping PEM blocks of the following types: [{kind}]"
        return f'tls: failed to find "CERTIFICATE" PEM block in certificate input {skipped}'
    if b"-----BEGIN " not in secret:
        return _NO_KEY
    return _compare(chain, secret)


def _compare(chain: bytes, secret: bytes) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        leaf = x509.load_pem_x509_certificate(chain)
    except ValueError as error:
        return f"x509: malformed certificate: {error}"
    try:
        private = serialization.load_pem_private_key(secret, password=None)
    except (ValueError, TypeError):
        return "tls: failed to parse private key"
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    same = private.public_key().public_bytes(*form) == leaf.public_key().public_bytes(*form)
    return "" if same else _MISMATCH
