"""Claims of cluster IPs and node ports that nobody needs, or that are missing, are put right."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.service_claims import PORTS_KEY, PortClaims, ServiceClaims
from knarr.apiserver.services import ServiceHooks

from .world import NAMESPACE, World, running


def service(name: str, **spec: object) -> Object:
    return {"metadata": {"name": name}, "spec": {"type": "NodePort", "ports": [{"port": 80}], **spec}}


def claims_of(world: World) -> tuple[ServiceClaims, PortClaims]:
    hooks = world.api.ctx.hooks["services", ""]
    assert isinstance(hooks, ServiceHooks)
    assert isinstance(hooks.claims, ServiceClaims)
    return hooks.claims, PortClaims(world.api.ctx, hooks)


def test_repairs_leave_exactly_what_services_have(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path, shared=True) as world:
            admin = world.client()
            claims, ports = claims_of(world)
            made = await admin.create(registry.SERVICES, service("a"), NAMESPACE)
            port, address = made["spec"]["ports"][0]["nodePort"], made["spec"]["clusterIP"]
            assert await ports.read() == {port}
            # Another server has claimed these and died, long ago and just now.
            lost = 30001 if port != 30001 else 30002
            await ports.change(take={lost}, give=())
            with pytest.raises(StatusError, match=f"{lost}: provided port is already allocated"):
                wish = service("b", ports=[{"port": 80, "nodePort": lost}])
                await admin.create(registry.SERVICES, wish, NAMESPACE)
            await admin.delete(registry.IPADDRESSES, address)
            await claims.repair()
            # A port may have its Service in a moment: only the second look takes it away.
            assert await ports.read() == {port, lost}
            await claims.repair()
            assert await ports.read() == {port}
            again = await admin.get(registry.IPADDRESSES, address)
            assert again["spec"]["parentRef"]["name"] == "a"
            await admin.create(registry.SERVICES, wish, NAMESPACE)
            found = await world.api.ctx.store.get(PORTS_KEY)
            assert found is not None
            assert b'"kind":"RangeAllocation"' in found.value

    asyncio.run(main())


def test_what_a_failed_write_has_claimed_is_given_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path, shared=True) as world:
            admin = world.client()
            _, ports = claims_of(world)
            first = await admin.create(registry.SERVICES, service("a"), NAMESPACE)
            before = {item["metadata"]["name"] for item in (await admin.list(registry.IPADDRESSES))["items"]}
            with pytest.raises(StatusError, match="already exists"):
                await admin.create(registry.SERVICES, service("a"), NAMESPACE)
            async with asyncio.timeout(90):
                while await ports.read() != {first["spec"]["ports"][0]["nodePort"]}:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
            after = {item["metadata"]["name"] for item in (await admin.list(registry.IPADDRESSES))["items"]}
            assert after == before

    asyncio.run(main())
