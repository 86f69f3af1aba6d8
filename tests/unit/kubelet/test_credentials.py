from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from knarr.kubelet.credentials import Credential, CredentialsFault, Keyring, of_json, of_secret

A, B, C = (Credential(name, name.upper()) for name in "abc")


@pytest.mark.parametrize(
    ("place", "repository", "fits"),
    [
        ("registry.example.com", "registry.example.com/a/b", True),
        ("https://registry.example.com/v1/", "registry.example.com/a", True),
        ("http://registry.example.com/v2/team", "registry.example.com/team/app", True),
        ("registry.example.com/team", "registry.example.com/other", False),
        ("registry.example.com/team", "registry.example.com/team2/app", True),
        ("*.example.com", "a.example.com/x", True),
        ("*.example.com", "a.b.example.com/x", False),
        ("*.example.com", "example.com/x", False),
        ("prefix*.example.com", "prefix-1.example.com/x", True),
        ("example.com:5000", "example.com:5000/x", True),
        ("example.com", "example.com:5000/x", False),
        ("example.com:5000", "example.com/x", False),
        ("https://index.docker.io/v1/", "docker.io/library/nginx", True),
        ("index.docker.io", "ghcr.io/a/b", False),
        ("docker.io", "docker.io/library/nginx", True),
    ],
)
def test_where_credentials_fit(place: str, repository: str, fits: bool) -> None:
    assert Keyring([{place: A}]).lookup(repository) == ([A] if fits else [])


def test_the_most_telling_place_comes_first_and_earlier_secrets_before_later() -> None:
    keyring = Keyring([{"example.com": A}, {"example.com/team": B, "example.com": C}, {"example.com": A}])
    assert keyring.lookup("example.com/team/app") == [B, A, C]


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_both_forms_of_pull_secrets() -> None:
    entry = {"auth": base64.b64encode(b"me:pass:word").decode().rstrip("=")}
    new = {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": encoded({"auths": {"x.io": entry}})}}
    old = {
        "type": "kubernetes.io/dockercfg",
        "data": {".dockercfg": encoded({"x.io": {"username": "u", "password": "p"}})},
    }
    assert of_secret(new) == {"x.io": Credential("me", "pass:word")}
    assert of_secret(old) == {"x.io": Credential("u", "p")}
    assert of_secret({"type": "Opaque", "data": {".dockercfg": "x"}}) == {}


@pytest.mark.parametrize(
    "text", [b"{", b'{"auths": ["x"]}', b'{"auths": {"x": {"auth": "bWU="}}}', b'{"auths": {"x": 1}}']
)
def test_what_cannot_be_read_is_told(text: bytes) -> None:
    with pytest.raises(CredentialsFault):
        of_json(text)
