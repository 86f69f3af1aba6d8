"""A node renews its own certificate through the cluster, and nobody else's."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import pytest
from cryptography import x509

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.apiserver.server import ServerConfig, build
from knarr.client.client import Client
from knarr.client.local import LocalTransport
from knarr.cmd.control_plane import ControlPlane, Settings
from knarr.cmd.rotation import Rotation
from knarr.component_base import certificates, kubeconfig, request_signing
from knarr.component_base.certificates import Authority, Leaf
from knarr.component_base.clock import RealClock
from knarr.component_base.http import UserInfo
from knarr.component_base.kubeconfig import Access
from knarr.storage.memory import MemoryStore

CLOCK = RealClock()
NODE = UserInfo("system:node:n1", ("system:nodes", "system:authenticated"))


def sign(authority: Authority) -> Settings:
    def signed(pem: bytes, usages: object, life: datetime.timedelta, now: datetime.datetime) -> bytes:
        return request_signing.sign(authority, pem, ["client auth"], life, now)

    return Settings("PEM", sign=signed)


def test_a_node_renews_its_own_certificate(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path, "ca", CLOCK.now())
    path = tmp_path / "kubeconfig"
    old = authority.issue(Leaf("system:node:n1", ("system:nodes",), client=True, days=1 / 1440), CLOCK.now())
    kubeconfig.write(path, "knarr", Access("https://127.0.0.1:1", authority.certificate, old.certificate, old.key))

    async def main() -> None:
        store = MemoryStore()
        api = await build(ServerConfig([certificates.signing_key(tmp_path)]), store, CLOCK)
        plane = ControlPlane(api.handler, CLOCK, sign(authority), "here", api.ctx.metrics.registry)
        running = asyncio.get_running_loop().create_task(plane.run())
        client = Client(LocalTransport(api.handler, NODE))
        try:
            async with asyncio.timeout(90):
                await Rotation("n1", path, client, CLOCK).renew()
            with pytest.raises(StatusError):
                await Rotation("n2", path, client, CLOCK).renew()
            admin = Client(LocalTransport(api.handler, UserInfo("admin", ("system:masters",))))
            (request,) = (await admin.list(registry.CSRS))["items"]
            assert [item["reason"] for item in request["status"]["conditions"]] == ["AutoApproved"]
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await api.close()
            await store.close()

    asyncio.run(main())
    access = kubeconfig.load(path)
    renewed = x509.load_pem_x509_certificate(access.certificate)
    renewed.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
    assert renewed.subject.rfc4514_string() == "CN=system:node:n1,O=system:nodes"
    assert renewed.not_valid_after_utc - CLOCK.now() > datetime.timedelta(days=300)
    assert access.key != old.key
    assert (path.stat().st_mode & 0o777) == 0o600
