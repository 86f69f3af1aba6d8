"""Which credentials a registry gets.

Input: Docker configurations (of pull secrets and of the node). Output: credentials for an image, the best match first.
https://kubernetes.io/docs/concepts/containers/images/#config-json
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from knarr.apimachinery.types import Object

_DOCKER_HUB = "index.docker.io"
#: Type of a secret → its key, and whether the entries stand below `auths`.
_SECRETS = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson", True),
    "kubernetes.io/dockercfg": (".dockercfg", False),
}


class CredentialsFault(ValueError):
    """A pull secret or configuration file that cannot be read."""


class Credential(NamedTuple):
    """A user of a registry."""

    username: str
    password: str


Config: TypeAlias = Mapping[str, Credential]


def of_secret(secret: Object) -> Config:
    """The credentials of a pull secret; none for a secret of another type. Raises `CredentialsFault`."""
    key, nested = _SECRETS.get(secret.get("type", ""), ("", False))
    encoded = (secret.get("data") or {}).get(key)
    if not encoded:
        return {}
    try:
        return of_json(base64.b64decode(encoded), nested=nested)
    except CredentialsFault as fault:
        raise CredentialsFault(f"secret {secret['metadata']['name']}: {fault}") from fault


def of_json(text: bytes, *, nested: bool = True) -> Config:
    """The credentials of a `config.json` (or, not `nested`, of a `.dockercfg`). Raises `CredentialsFault`."""
    try:
        decoded = json.loads(text)
        entries = (decoded.get("auths") or {}) if nested else decoded
        return {where: _credential(entry) for where, entry in entries.items()}
    except (ValueError, AttributeError, TypeError, binascii.Error) as error:
        raise CredentialsFault(f"cannot read the Docker configuration: {error}") from error


def _credential(entry: Mapping[str, str]) -> Credential:
    if encoded := entry.get("auth"):
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        username, colon, password = decoded.partition(":")
        if not colon:
            raise CredentialsFault("unable to parse auth field, must be formatted as base64(username:password)")
        return Credential(username, password.rstrip("\0"))
    return Credential(entry.get("username", ""), entry.get("password", ""))


class Keyring:
    """Credentials by place. Of several configurations the earlier ones come first."""

    def __init__(self, configs: Iterable[Config] = ()) -> None:
        self._places: dict[str, list[Credential]] = {}
        for config in configs:
            for where, credential in config.items():
                self._places.setdefault(_place(where), []).append(credential)

    def lookup(self, repository: str) -> list[Credential]:
        """What fits a full repository name (`docker.io/library/nginx`), the most telling place first."""
        found = [
            credential
            for place in sorted(self._places, reverse=True)
            if _matches(place, repository)
            for credential in self._places[place]
        ]
        if not found and repository.startswith(("docker.io/", f"{_DOCKER_HUB}/")):
            found = self._places.get(_DOCKER_HUB, [])
        return list(dict.fromkeys(found))


def _place(where: str) -> str:
    """Host and path of an entry; the paths of Docker's API versions mean the host."""
    url = urlsplit(where if where.startswith(("http://", "https://")) else f"https://{where}")
    path = url.path
    if path.startswith(("/v1/", "/v2/")):
        path = path[3:]
    return url.netloc + (path if path != "/" else "")


def _matches(place: str, repository: str) -> bool:
    """Globs hold within one part of the host name; ports must be equal, paths may go on."""
    (host, path), (other_host, other_path) = (_split(text) for text in (place, repository))
    (name, port), (other_name, other_port) = (_port(text) for text in (host, other_host))
    parts, other_parts = name.split("."), other_name.split(".")
    return (
        port == other_port
        and len(parts) == len(other_parts)
        and other_path.startswith(path)
        and all(fnmatch.fnmatchcase(other, part) for part, other in zip(parts, other_parts, strict=True))
    )


def _split(place: str) -> tuple[str, str]:
    host, slash, path = place.partition("/")
    return host, slash + path


def _port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and port.isdigit() else (host, "")
