"""`EncryptionConfiguration` files: which resources are encrypted, how, and by what older values are still read.

Input: the file's document. Output: rules, in order; the first that covers a resource holds. Raises `ValueError` with
every fault, each with its place.
https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/#apiserver-config-k8s-io-v1-EncryptionConfiguration
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from knarr.storage.encryption.ciphers import CIPHERS, KeyProvider
from knarr.storage.encryption.kms import KmsProvider
from knarr.storage.encryption.kms_client import KmsClient
from knarr.storage.encryption.provider import Identity, Provider

_KINDS = ("kms", "aesgcm", "aescbc", "secretbox", "identity")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
#: Seconds a KMS plugin may take for an answer.
_TIMEOUT = 3.0


@dataclass(frozen=True, slots=True)
class Rule:
    """Resources (`secrets`, `deployments.apps`, `*.apps`, `*.`, `*.*`) and their providers, the writing one first."""

    resources: tuple[str, ...]
    providers: tuple[Provider, ...]

    def covers(self, plural: str, group: str) -> bool:
        """Whether it is about this resource."""
        own = f"{plural}.{group}" if group else plural
        return any(name in (own, f"*.{group}", "*.*") for name in self.resources)


def parse(document: Any) -> tuple[Rule, ...]:
    """The rules of a document. Raises `ValueError`."""
    if not isinstance(document, dict) or document.get("kind") != "EncryptionConfiguration":
        raise ValueError("an EncryptionConfiguration is wanted")
    if document.get("apiVersion") not in ("apiserver.config.k8s.io/v1", "v1"):
        raise ValueError(f"apiVersion {document.get('apiVersion')!r} is not apiserver.config.k8s.io/v1")
    reader = _Reader()
    rules = [reader.rule(f"resources[{number}]", each) for number, each in enumerate(document.get("resources") or ())]
    if not rules:
        reader.problems.append("resources: Required value: at least one resources is required")
    if reader.problems:
        raise ValueError("; ".join(reader.problems))
    return tuple(rules)


class _Reader:
    """Reads parts of a document, and notes what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._kms: dict[str, KmsProvider] = {}

    def rule(self, at: str, part: Any) -> Rule:
        resources = tuple(part.get("resources") or ()) if isinstance(part, dict) else ()
        if not resources:
            self._wrong(f"{at}.resources", "Required value: at least one resources.resources is required")
        for number, name in enumerate(resources):
            self._check_resource(f"{at}.resources[{number}]", name)
        listed = (part.get("providers") or ()) if isinstance(part, dict) else ()
        if not listed:
            self._wrong(f"{at}.providers", "Required value: at least one resources.providers is required")
        providers: list[Provider] = []
        for number, one in enumerate(listed):
            providers += self._provider(f"{at}.providers[{number}]", one)
        return Rule(resources, tuple(providers))

    def _check_resource(self, at: str, name: Any) -> None:
        if not isinstance(name, str) or not name:
            self._wrong(at, "Invalid value: resource name should not be empty")
        elif name == "*":
            self._wrong(at, 'Invalid value: "*": use *.* to encrypt all the resources')
        elif name != name.lower():
            self._wrong(at, f'Invalid value: "{name}": resource name should not have capital letters')
        elif name.endswith(".") and name != "*.":
            self._wrong(at, f'Invalid value: "{name}": resource name should not end with "."')

    def _provider(self, at: str, part: Any) -> Sequence[Provider]:
        chosen = [kind for kind in _KINDS if isinstance(part, dict) and part.get(kind) is not None]
        if not chosen:
            self._wrong(at, f"Invalid value: provider does not contain any of the expected providers: {_listed()}")
            return ()
        if len(chosen) > 1:
            self._wrong(at, "Invalid value: more than one provider specified in a single element")
            return ()
        kind, options = chosen[0], part[chosen[0]]
        if kind == "identity":
            return (Identity(),)
        if kind == "kms":
            return self._kms_provider(f"{at}.kms", options)
        return self._keys(f"{at}.{kind}.keys", kind, options.get("keys") or ())

    def _keys(self, at: str, kind: str, keys: Sequence[Any]) -> Sequence[Provider]:
        """The first key writes, so it comes first; the others read."""
        if not keys:
            self._wrong(at, f"Required value: at least one {kind}.keys is required")
        found = []
        for number, one in enumerate(keys):
            secret = self._secret(f"{at}[{number}]", kind, one)
            if secret:
                found.append(KeyProvider(kind, one["name"], secret))
        return found

    def _secret(self, at: str, kind: str, one: Any) -> bytes:
        if not one.get("name"):
            self._wrong(f"{at}.name", "Required value: name is a mandatory field for a key")
            return b""
        try:
            secret = base64.b64decode(one.get("secret") or "", validate=True)
        except (binascii.Error, ValueError):
            self._wrong(f"{at}.secret", 'Invalid value: "REDACTED": secrets must be base64 encoded')
            return b""
        lengths = CIPHERS[kind][1]
        if len(secret) not in lengths:
            wanted = "[" + " ".join(map(str, lengths)) + "]"
            why = f"secret is not of the expected length, got {len(secret)}, expected one of {wanted}"
            self._wrong(f"{at}.secret", f'Invalid value: "REDACTED": {why}')
            return b""
        return secret

    def _kms_provider(self, at: str, options: Any) -> Sequence[Provider]:
        name, endpoint = options.get("name") or "", str(options.get("endpoint") or "")
        if options.get("apiVersion") != "v2":
            self._wrong(f"{at}.apiVersion", f'Invalid value: "{options.get("apiVersion")}": only v2 is supported')
        if not name or ":" in name:
            self._wrong(f"{at}.name", f'Invalid value: "{name}": a name without ":" is wanted')
        elif name in self._kms:
            self._wrong(
                f"{at}.name", f'Invalid value: "{name}": duplicate KMS provider name {name}, names must be unique'
            )
        if not endpoint.startswith("unix://"):
            self._wrong(
                f"{at}.endpoint", f'Invalid value: "{endpoint}": unsupported scheme for KMS provider, only unix'
            )
        seconds = _seconds(options.get("timeout", _TIMEOUT))
        if seconds <= 0:
            self._wrong(f"{at}.timeout", "Invalid value: timeout should be a positive value")
        self._kms[name] = KmsProvider(name, KmsClient(name, endpoint, seconds))
        return (self._kms[name],)

    def _wrong(self, at: str, why: str) -> None:
        self.problems.append(f"{at}: {why}")


def _listed() -> str:
    return "KMS, AESGCM, AESCBC, Secretbox, Identity"


def _seconds(value: Any) -> float:
    """A duration (`3s`, `500ms`), 0 for what is none."""
    if isinstance(value, int | float):
        return float(value)
    text = str(value)
    number, unit = text.rstrip("hms"), text[len(text.rstrip("hms")) :]
    try:
        return float(number) * _UNITS[unit]
    except (KeyError, ValueError):
        return 0.0
