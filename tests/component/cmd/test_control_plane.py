"""Controllers and scheduler over a real API server, in one process: what a user sees, and what idling costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.apiserver.server import ServerConfig, build
from knarr.client.client import MERGE_PATCH, Client
from knarr.client.local import LocalTransport
from knarr.cmd.control_plane import ControlPlane, Settings
from knarr.component_base import certificates
from knarr.component_base.clock import RealClock
from knarr.component_base.http import Request, Response, UserInfo
from knarr.storage.memory import MemoryStore

_PATIENCE = 90.0


@dataclass
class Cluster:
    """A running cluster without nodes. `asked` are the requests of controllers and scheduler."""

    client: Client
    metrics: Callable[[], bytes]
    asked: list[str] = field(default_factory=list)

    async def names(self, resource: Resource, namespace: str = "") -> list[str]:
        listed = await self.client.list(resource, namespace)
        return sorted(item["metadata"]["name"] for item in listed["items"])


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Cluster]:
    clock, store = RealClock(), MemoryStore()
    api = await build(ServerConfig([certificates.signing_key(directory)]), store, clock)
    client = Client(LocalTransport(api.handler, UserInfo("admin", ("system:masters",))))
    cluster = Cluster(client, api.ctx.metrics.registry.text)

    async def counted(request: Request) -> Response:
        cluster.asked.append(f"{request.method} {request.path}")
        return await api.handler(request)

    plane = ControlPlane(counted, clock, Settings("PEM"), "here", api.ctx.metrics.registry)
    task = asyncio.get_running_loop().create_task(plane.run())
    try:
        yield cluster
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await api.close()
        await store.close()


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not await holds():  # noqa: ASYNC110 - any change may be the awaited one
            await asyncio.sleep(0.01)


def deployment(replicas: int) -> Object:
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def test_workloads_come_change_and_go(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as cluster:
            client = cluster.client

            async def pods(count: int) -> bool:
                return len(await cluster.names(registry.PODS, "default")) == count

            await client.create(registry.DEPLOYMENTS, deployment(3), "default")
            await eventually(lambda: pods(3))
            told = cluster.metrics().decode()
            assert 'leader_election_master_status{name="kube-controller-manager"} 1' in told
            assert 'workqueue_adds_total{name="replicaset"}' in told
            events = (await client.list(registry.EVENTS, "kube-system"))["items"]
            leads = {item["involvedObject"]["name"] for item in events if item["message"].endswith("became leader")}
            assert leads == {"kube-controller-manager", "kube-scheduler"}
            assert "scheduler_pending_pods" in told
            made = await client.get(registry.DEPLOYMENTS, "web", "default")
            assert made["metadata"]["generation"] == 1
            patch = {"spec": {"replicas": 5}}
            await client.patch(registry.DEPLOYMENTS, "web", patch, "default", content_type=MERGE_PATCH)
            await eventually(lambda: pods(5))
            await client.delete(registry.DEPLOYMENTS, "web", "default", {"propagationPolicy": "Foreground"})
            await eventually(lambda: pods(0))

            async def no_sets() -> bool:
                return not await cluster.names(registry.REPLICASETS) and not await cluster.names(registry.DEPLOYMENTS)

            await eventually(no_sets)

    asyncio.run(main())


def test_a_namespace_is_furnished_and_emptied(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as cluster:
            client = cluster.client
            await client.create(registry.NAMESPACES, {"metadata": {"name": "a"}})

            async def furnished() -> bool:
                accounts = await cluster.names(registry.SERVICEACCOUNTS, "a")
                return bool(accounts) and await cluster.names(registry.CONFIGMAPS, "a") == ["kube-root-ca.crt"]

            await eventually(furnished)
            await client.create(registry.DEPLOYMENTS, deployment(2), "a")
            await client.create(registry.SECRETS, {"metadata": {"name": "s"}}, "a")
            await client.delete(registry.NAMESPACES, "a")

            async def gone() -> bool:
                return "a" not in await cluster.names(registry.NAMESPACES)

            await eventually(gone)
            assert "s" not in await cluster.names(registry.SECRETS)
            assert not await cluster.names(registry.PODS)

    asyncio.run(main())


def test_an_idle_cluster_asks_for_nothing_but_its_leases(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as cluster:
            await cluster.client.create(registry.DEPLOYMENTS, deployment(1), "default")

            async def settled() -> bool:
                """The pod has been told that no node fits, and all namespaces are furnished."""
                found = (await cluster.client.list(registry.PODS, "default"))["items"]
                told = any((pod.get("status") or {}).get("conditions") for pod in found)
                return told and len(await cluster.names(registry.SERVICEACCOUNTS)) == 4

            await eventually(settled)

            async def calm(leases: int) -> bool:
                """So many renewals in a row, and nothing between them."""
                last = cluster.asked[-leases:]
                return len(last) == leases and all("/leases/" in request for request in last)

            await eventually(lambda: calm(3))
            before = len(cluster.asked)

            async def later() -> bool:
                return len(cluster.asked) >= before + 4

            await eventually(later)
            assert {request.rpartition("/")[0] for request in cluster.asked[before:]} == {
                "PUT /apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
            }

    asyncio.run(main())
