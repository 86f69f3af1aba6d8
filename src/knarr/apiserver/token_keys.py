"""Keys of service-account tokens: read from PEM, named, published.

`cryptography` is imported when a key is first read: it is slow to load.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from knarr.apimachinery.types import Object

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----", re.DOTALL)
_CURVES = {"secp256r1": ("ES256", "P-256"), "secp384r1": ("ES384", "P-384"), "secp521r1": ("ES512", "P-521")}


def private(pem: bytes) -> Any:
    """The private key in a file, RSA or elliptic curve. Raises `ValueError`."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    # The keys are this server's own files: proving that their numbers are primes costs 50 ms each.
    key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
    algorithm(key.public_key())
    return key


def public(pem: bytes) -> list[Any]:
    """The keys in a file of private keys, public keys and certificates. Raises `ValueError` if there are none."""
    found = [_public(block.group(1), block.group(0) + b"\n") for block in _BLOCK.finditer(pem)]
    keys = [key for key in found if key is not None]
    if not keys:
        raise ValueError("data does not contain any valid RSA or ECDSA public keys")
    for key in keys:
        algorithm(key)
    return keys


def _public(kind: bytes, block: bytes) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if kind.endswith(b"PRIVATE KEY"):
        return private(block).public_key()
    if kind.endswith(b"PUBLIC KEY"):
        return load_pem_public_key(block)
    return x509.load_pem_x509_certificate(block).public_key() if kind == b"CERTIFICATE" else None


def key_id(public: Any) -> str:
    """The `kid` of a public key: the SHA-256 of its DER form, as Kubernetes computes it."""
    from cryptography.hazmat.primitives import serialization

    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _base64(hashlib.sha256(der).digest())


def algorithm(public: Any) -> str:
    """How a key signs. Raises `ValueError` for one that signs no tokens."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(public, rsa.RSAPublicKey):
        return "RS256"
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in _CURVES:
        return _CURVES[public.curve.name][0]
    raise ValueError("a key of service-account tokens is RSA, or ECDSA over P-256, P-384 or P-521")


def jwk(name: str, key: Any) -> Object:
    """A public key as a JSON Web Key."""
    numbers, signs = key.public_numbers(), algorithm(key)
    out: Object = {"use": "sig", "kid": name, "alg": signs}
    if signs == "RS256":
        return {**out, "kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    size = (key.curve.key_size + 7) // 8
    curve = _CURVES[key.curve.name][1]
    return {**out, "kty": "EC", "crv": curve, "x": _number(numbers.x, size), "y": _number(numbers.y, size)}


def _number(value: int, size: int = 0) -> str:
    return _base64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
