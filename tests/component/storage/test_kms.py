"""KMS v2 against a plugin at a unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpclib.const import Cardinality, Handler
from grpclib.server import Server

from knarr.component_base.grpc_bytes import BytesCodec
from knarr.storage.encryption.config import parse
from knarr.storage.encryption.kms_messages import CODEC
from knarr.storage.encryption.provider import TransformError
from knarr.storage.encryption.store import encrypted
from knarr.storage.encryption.transformer import Transformer
from knarr.storage.memory import MemoryStore

_KEY = "/registry/secrets/default/a"


class Plugin:
    """Turns bits around, under a key that has a name; `answers` says how it is."""

    def __init__(self) -> None:
        self.key_id = "one"
        self.healthz = "ok"
        self.calls: list[str] = []

    def __mapping__(self) -> dict[str, Handler]:
        methods = {"Status": self.status, "Encrypt": self.encrypt, "Decrypt": self.decrypt}
        paths = {f"/v2.KeyManagementService/{name}": method for name, method in methods.items()}
        return {path: Handler(method, Cardinality.UNARY_UNARY, bytes, bytes) for path, method in paths.items()}

    async def status(self, stream: Any) -> None:
        self.calls.append("Status")
        await stream.recv_message()
        answer = {"version": "v2", "healthz": self.healthz, "key_id": self.key_id}
        await stream.send_message(CODEC.encode("StatusResponse", answer))

    async def encrypt(self, stream: Any) -> None:
        self.calls.append("Encrypt")
        request = CODEC.decode("EncryptRequest", await stream.recv_message())
        note = {"key": "a.example.com", "value": b"note"}
        answer = {"ciphertext": _turned(request["plaintext"]), "key_id": self.key_id, "annotations": [note]}
        await stream.send_message(CODEC.encode("EncryptResponse", answer))

    async def decrypt(self, stream: Any) -> None:
        self.calls.append("Decrypt")
        request = CODEC.decode("DecryptRequest", await stream.recv_message())
        assert request["annotations"] == [{"key": "a.example.com", "value": b"note"}]
        await stream.send_message(CODEC.encode("DecryptResponse", {"plaintext": _turned(request["ciphertext"])}))


def _turned(data: bytes) -> bytes:
    return bytes(byte ^ 0x55 for byte in data)


@asynccontextmanager
async def _serving(plugin: Plugin, path: Path) -> AsyncIterator[None]:
    server = Server([plugin], codec=BytesCodec())
    await server.start(path=str(path))
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def _transformer(path: Path) -> AsyncIterator[Transformer]:
    provider = {"kms": {"apiVersion": "v2", "name": "vault", "endpoint": f"unix://{path}", "timeout": "2s"}}
    rule = {"resources": ["secrets"], "providers": [provider]}
    document = {"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": [rule]}
    found = Transformer(parse(document))
    try:
        yield found
    finally:
        for one in found.kms:
            one.close()


def test_values_go_through_a_plugin(tmp_path: Path) -> None:
    async def story() -> None:
        plugin, socket, below = Plugin(), tmp_path / "kms", MemoryStore()
        async with _serving(plugin, socket), _transformer(socket) as first, _transformer(socket) as second:
            await first.kms[0].refresh()
            store = encrypted(below, first)
            await store.create(_KEY, b'{"a":"secret"}')
            await store.create(_KEY + "b", b'{"a":"secret"}')
            assert plugin.calls == ["Status", "Encrypt"]
            stored = await below.get(_KEY)
            assert stored is not None and stored.value.startswith(b"k8s:enc:kms:v2:vault:")
            assert b"secret" not in stored.value
            # Another server, or this one later: the seed is had from the plugin, once.
            await second.kms[0].refresh()
            later = encrypted(below, second)
            page = await later.list("/registry/")
            assert [kv.value for kv in page.items] == [b'{"a":"secret"}'] * 2
            assert plugin.calls[-1] == "Decrypt" and plugin.calls.count("Decrypt") == 1
            assert not later.stale(_KEY)
            second.kms[0].lapse()
            with pytest.raises(TransformError, match="has not answered for too long"):
                await later.create(_KEY + "c", b"{}")
            assert (await later.get(_KEY) or page.items[0]).value == b'{"a":"secret"}'
            plugin.key_id = "two"
            await second.kms[0].refresh()
            assert later.stale(_KEY)
            await later.update(_KEY, b"{}", page.items[0].mod_revision)
            assert (await later.get(_KEY) or page.items[0]).value == b"{}" and not later.stale(_KEY)

    asyncio.run(story())


def test_a_plugin_that_is_ill_or_away(tmp_path: Path) -> None:
    async def story() -> None:
        plugin, socket = Plugin(), tmp_path / "kms"
        async with _transformer(socket) as transformer:
            with pytest.raises(TransformError, match="kms-provider-vault: Status"):
                await transformer.kms[0].refresh()
            plugin.healthz = "sealed"
            async with _serving(plugin, socket):
                with pytest.raises(TransformError, match="healthz is 'sealed'"):
                    await transformer.kms[0].refresh()
            with pytest.raises(TransformError, match="has not answered yet"):
                transformer.seal(_KEY, b"{}")

    asyncio.run(story())
