"""Two servers with controllers and scheduler on one etcd: one leads, and the other goes on when it dies."""

from __future__ import annotations

import asyncio

from tests.etcd import Etcd, folder, needs_etcd

from knarr.api import registry
from knarr.apimachinery.types import Object
from knarr.client.client import Client

from .world import Server, client_of

pytestmark = needs_etcd
LEASES = ("kube-controller-manager", "kube-scheduler")


def deployment(name: str) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def holders(client: Client) -> set[str]:
    items = (await client.list(registry.LEASES, "kube-system"))["items"]
    return {item["spec"]["holderIdentity"] for item in items if item["metadata"]["name"] in LEASES}


async def pods(client: Client, name: str) -> list[Object]:
    found: list[Object] = (await client.list(registry.PODS, "default", labelSelector=f"app={name}"))["items"]
    return found


async def run_one(client: Client, name: str) -> None:
    """Controllers make two pods of a Deployment, and no third."""
    await client.create(registry.DEPLOYMENTS, deployment(name), "default")
    async with asyncio.timeout(90):
        while True:
            found = await client.get(registry.DEPLOYMENTS, name, "default")
            if (found.get("status") or {}).get("replicas") == 2:
                break
            await asyncio.sleep(0.05)
    assert len(await pods(client, name)) == 2


def test_the_other_server_leads_when_the_leader_is_killed() -> None:
    async def main(servers: dict[str, Server]) -> None:
        accesses = {name: await server.ready() for name, server in servers.items()}
        async with client_of(accesses["one"]) as one:
            await run_one(one, "first")
            leaders = {holder.partition("_")[0] for holder in await holders(one)}
        # Each Lease may have a leader of its own: then one dies all the same.
        leader = min(leaders)
        other = "two" if leader == "one" else "one"
        servers[leader].kill()
        async with client_of(accesses[other]) as client:
            await run_one(client, "second")
            assert len(await pods(client, "first")) == 2
            async with asyncio.timeout(90):
                while {holder.partition("_")[0] for holder in await holders(client)} != {other}:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    with folder() as path:
        etcd = Etcd(path / "etcd")
        servers = {
            name: Server(path, name, etcd.endpoint, "--advertise-address", "192.0.2.1") for name in ("one", "two")
        }
        try:
            etcd.start()
            for server in servers.values():
                server.start()
            asyncio.run(main(servers))
        finally:
            for server in servers.values():
                server.kill()
            etcd.kill()
