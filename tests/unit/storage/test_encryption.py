"""Encryption at rest: the forms of values, the rules, and the store over a store."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.storage.encryption import own_config
from knarr.storage.encryption.ciphers import CIPHERS, KeyProvider
from knarr.storage.encryption.config import parse
from knarr.storage.encryption.provider import TransformError
from knarr.storage.encryption.store import encrypted
from knarr.storage.encryption.transformer import Transformer
from knarr.storage.memory import MemoryStore

_KEY = "/registry/secrets/default/a"
_POD = "/registry/pods/default/a"


def _document(*rules: tuple[list[str], list[dict[str, Any]]]) -> dict[str, Any]:
    resources = [{"resources": names, "providers": providers} for names, providers in rules]
    return {"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": resources}


def _keyed(kind: str, name: str, byte: int, size: int = 32) -> dict[str, Any]:
    return {kind: {"keys": [{"name": name, "secret": base64.b64encode(bytes([byte]) * size).decode()}]}}


_IDENTITY: dict[str, Any] = {"identity": {}}


def _transformer(*rules: tuple[list[str], list[dict[str, Any]]]) -> Transformer:
    return Transformer(parse(_document(*rules)))


@pytest.mark.parametrize("kind", CIPHERS)
@given(value=st.binary(max_size=100), size=st.sampled_from([16, 24, 32]))
def test_what_is_sealed_can_be_opened(kind: str, value: bytes, size: int) -> None:
    size = size if size in CIPHERS[kind][1] else CIPHERS[kind][1][-1]
    provider = KeyProvider(kind, "one", b"k" * size)
    stored = provider.seal(_KEY, value)
    assert stored.startswith(f"k8s:enc:{kind}:v1:one:".encode())
    assert len(value) < 8 or value not in stored[len(provider.prefix) :]
    assert provider.open(_KEY, stored) == value


@pytest.mark.parametrize("kind", ["aesgcm", "secretbox"])
@given(data=st.data())
def test_what_was_tampered_with_is_refused(kind: str, data: st.DataObject) -> None:
    provider = KeyProvider(kind, "one", b"k" * 32)
    stored = bytearray(provider.seal(_KEY, b"a value"))
    at = data.draw(st.integers(len(provider.prefix), len(stored) - 1))
    stored[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(TransformError):
        provider.open(_KEY, bytes(stored))


def test_aesgcm_binds_a_value_to_its_key() -> None:
    provider = KeyProvider("aesgcm", "one", b"k" * 32)
    with pytest.raises(TransformError, match="message authentication failed"):
        provider.open("/registry/secrets/default/b", provider.seal(_KEY, b"a value"))


@given(stored=st.binary(max_size=80), kind=st.sampled_from(sorted(CIPHERS)))
def test_garbage_is_an_error_or_plain(stored: bytes, kind: str) -> None:
    provider = KeyProvider(kind, "one", b"k" * 32)
    with contextlib.suppress(TransformError):
        provider.open(_KEY, provider.prefix + stored)


def test_the_first_rule_that_covers_a_resource_holds() -> None:
    found = _transformer(
        (["secrets"], [_keyed("aescbc", "a", 1)]),
        (["deployments.apps", "*.example.com"], [_keyed("aesgcm", "b", 2)]),
        (["*."], [_keyed("secretbox", "c", 3)]),
    )
    labels = {
        "/registry/secrets/default/a": b"k8s:enc:aescbc:v1:a:",
        "/registry/deployments/default/a": b"k8s:enc:aesgcm:v1:b:",
        "/registry/example.com/boats/default/a": b"k8s:enc:aesgcm:v1:b:",
        "/registry/services/specs/default/a": b"k8s:enc:secretbox:v1:c:",
        "/registry/statefulsets/default/a": b"",
        "/bootstrap/secrets": b"",
    }
    assert {key: found.label(key) for key in labels} == labels


def test_older_keys_still_read_and_are_stale() -> None:
    async def story() -> None:
        below = MemoryStore()
        old = encrypted(below, _transformer((["secrets"], [_keyed("aescbc", "a", 1)])))
        await old.create(_KEY, b'{"a":1}')
        await old.create(_POD, b"{}")
        both = _transformer((["secrets"], [_keyed("secretbox", "b", 2), _keyed("aescbc", "a", 1), _IDENTITY]))
        new = encrypted(below, both)
        found = await new.get(_KEY)
        assert found is not None and found.value == b'{"a":1}'
        await new.get(_POD)
        assert new.stale(_KEY) and not new.stale(_POD)
        seen: list[bytes] = []
        new.subscribe(lambda events: seen.extend(event.kv.value for event in events))  # type: ignore[attr-defined]
        await new.update(_KEY, b'{"a":2}', found.mod_revision)
        assert seen == [b'{"a":2}'] and not new.stale(_KEY)
        stored = await below.get(_KEY)
        assert stored is not None and stored.value.startswith(b"k8s:enc:secretbox:v1:b:")

    asyncio.run(story())


def test_a_key_that_is_gone_is_an_error() -> None:
    async def story() -> None:
        below = MemoryStore()
        await encrypted(below, _transformer((["secrets"], [_keyed("aescbc", "a", 1)]))).create(_KEY, b"{}")
        with pytest.raises(TransformError, match="no matching prefix found"):
            await encrypted(below, _transformer((["secrets"], [_keyed("aescbc", "b", 2)]))).list("/registry/")

    asyncio.run(story())


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "an EncryptionConfiguration is wanted"),
        (_document(), "at least one resources is required"),
        (_document((["secrets"], [])), r"providers: Required value"),
        (_document((["Secrets"], [_IDENTITY])), "capital letters"),
        (_document((["*"], [_IDENTITY])), r"use \*\.\*"),
        (_document((["secrets"], [{"aescbc": {"keys": []}}])), r"at least one aescbc.keys"),
        (_document((["secrets"], [_keyed("secretbox", "a", 1, 16)])), r"got 16, expected one of \[32\]"),
        (_document((["secrets"], [{"aescbc": {"keys": [{"name": "a", "secret": "%"}]}}])), "base64"),
        (_document((["secrets"], [{**_IDENTITY, **_keyed("aescbc", "a", 1)}])), "more than one provider"),
        (_document((["secrets"], [{"rot13": {}}])), "does not contain any of the expected providers"),
        (_document((["secrets"], [{"kms": {"apiVersion": "v2", "name": "a", "endpoint": "tcp://x"}}])), "only unix"),
    ],
)
def test_bad_configurations(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(document)


def test_the_life_of_an_own_configuration() -> None:
    first = own_config.enabled(None)
    assert own_config.is_enabled(first) and len(own_config.keys_of(first)) == 1
    off = own_config.disabled(first)
    assert not own_config.is_enabled(off)
    assert own_config.enabled(off) == first
    both = own_config.rotating(first)
    assert [key["name"] for key in own_config.keys_of(both)] == ["key2", "key1"]
    last = own_config.rotated(both)
    assert [key["name"] for key in own_config.keys_of(last)] == ["key2"]
    for each in (first, off, both, last):
        parse(each)
