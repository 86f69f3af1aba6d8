"""`metrics.k8s.io` as it is built in: scraped from a kubelet, answered, described, and left to another server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.component.apiserver.world import NAMESPACE, World, pod, running

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apiserver.resource_metrics.offer import Offer, withdraw
from knarr.client.client import MERGE_PATCH, Client
from knarr.component_base import certificates
from knarr.component_base.certificates import Leaf
from knarr.component_base.clock import RealClock
from knarr.component_base.http import Request, Response
from knarr.component_base.http_server import HttpServer

BASE = "/apis/metrics.k8s.io/v1beta1"
PODS = f"{BASE}/namespaces/{NAMESPACE}/pods"
NAME = "v1beta1.metrics.k8s.io"


class Kubelet:
    """Tells of a node and two pods, each time of more."""

    def __init__(self) -> None:
        self.asked = 0
        #: Set once it has been asked more often than a rate needs.
        self.often = asyncio.Event()

    async def answer(self, request: Request) -> Response:
        assert request.path == "/metrics/resource"
        self.asked += 1
        if self.asked >= 4:
            self.often.set()
        stamp = 1_700_000_000_000 + self.asked * 10_000
        lines = [
            f"node_cpu_usage_seconds_total {5 * self.asked} {stamp}",
            f"node_memory_working_set_bytes 4096 {stamp}",
        ]
        for name in ("one", "two"):
            labels = f'{{container="c",namespace="{NAMESPACE}",pod="{name}"}}'
            lines += [
                f"container_cpu_usage_seconds_total{labels} {2 * self.asked} {stamp}",
                f"container_memory_working_set_bytes{labels} 2048 {stamp}",
            ]
        return Response(200, ("\n".join(lines) + "\n").encode(), "text/plain")


@asynccontextmanager
async def offering(directory: Path) -> AsyncIterator[tuple[World, Client]]:
    """A server that scrapes a kubelet twenty times a second."""
    async with running(directory) as world:
        leaf = Leaf("system:node:n", ips=("127.0.0.1",), server=True)
        files = certificates.leaf_files(world.authority, directory, "kubelet", leaf, RealClock().now())
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*files)
        kubelet = Kubelet()
        http = HttpServer(kubelet.answer, tls)
        port = await http.listen("127.0.0.1", 0)
        trusting = ssl.create_default_context(cadata=world.authority.certificate.decode())
        trusting.verify_flags &= ~ssl.VERIFY_X509_STRICT
        offer = asyncio.ensure_future(Offer(world.api.ctx, world.api.handler, trusting, 0.05).run())
        try:
            client = world.client()
            await client.create(registry.NODES, {"metadata": {"name": "n", "labels": {"zone": "a"}}})
            status = {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            }
            await client.patch(registry.NODES, "n", {"status": status}, content_type=MERGE_PATCH, subresource="status")
            for name in ("one", "two"):
                made = pod(name)
                made["metadata"]["labels"] = {"app": name}
                made["spec"]["nodeName"] = "n"
                await client.create(registry.PODS, made, NAMESPACE)
                await client.patch(
                    registry.PODS, name, {"status": {"phase": "Running"}}, NAMESPACE, subresource="status"
                )
            async with asyncio.timeout(60):
                await kubelet.often.wait()
            yield world, client
        finally:
            offer.cancel()
            await asyncio.gather(offer, return_exceptions=True)
            await http.close()


async def refusal(client: Client, path: str) -> StatusError:
    with pytest.raises(StatusError) as caught:
        await client.document(path)
    return caught.value


async def read(client: Client) -> None:
    nodes = await client.document(f"{BASE}/nodes")
    assert [(one["metadata"]["name"], one["usage"]) for one in nodes["items"]] == [
        ("n", {"cpu": "500m", "memory": "4Ki"})
    ]
    assert nodes["items"][0]["metadata"]["labels"] == {"zone": "a"} and nodes["items"][0]["window"] == "10s"
    found = await client.document(PODS + "/one")
    assert found["containers"] == [{"name": "c", "usage": {"cpu": "200m", "memory": "2Ki"}}]
    every = await client.document(f"{BASE}/pods")
    assert [one["metadata"]["name"] for one in every["items"]] == ["one", "two"]


async def select(client: Client) -> None:
    pods = Resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", namespaced=True)
    chosen = await client.list(pods, NAMESPACE, labelSelector="app in (two,three)")
    assert [one["metadata"]["name"] for one in chosen["items"]] == ["two"]
    chosen = await client.list(pods, NAMESPACE, fieldSelector="metadata.name=one")
    assert [one["metadata"]["name"] for one in chosen["items"]] == ["one"]
    with pytest.raises(StatusError, match="not a known field selector"):
        await client.list(pods, NAMESPACE, fieldSelector="spec.nodeName=n")
    with pytest.raises(StatusError, match="does not allow this method"):
        await client.create(pods, {"metadata": {"name": "x"}}, NAMESPACE)
    assert (await refusal(client, f"{BASE}/nodes/m")).message == 'nodes "m" not found'
    assert (await refusal(client, f"{BASE}/widgets")).code == 404


async def described(client: Client) -> None:
    groups = await client.document("/apis")
    assert "metrics.k8s.io" in [one["name"] for one in groups["groups"]]
    listed = await client.document(BASE)
    assert [one["kind"] for one in listed["resources"]] == ["NodeMetrics", "PodMetrics"]
    index = await client.document("/openapi/v3")
    assert BASE[1:] in index["paths"]
    document = await client.document(f"/openapi/v3{BASE}")
    assert f"{BASE}/namespaces/{{namespace}}/pods/{{name}}" in document["paths"]
    schemas = document["components"]["schemas"]
    assert "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics" in schemas
    references = [part.split('"')[0] for part in str(document).replace("'", '"').split("#/components/schemas/")[1:]]
    assert set(references) <= set(schemas), "everything that is referred to is there"


async def taken_back(world: World, client: Client) -> None:
    await withdraw(world.api.ctx, world.api.handler)
    assert (await refusal(client, f"{BASE}/nodes")).code == 404
    await withdraw(world.api.ctx, world.api.handler)


async def left_to_another(client: Client) -> None:
    service = {"spec": {"service": {"namespace": NAMESPACE, "name": "metrics-server"}, "insecureSkipTLSVerify": True}}
    await client.patch(registry.APISERVICES, NAME, service, content_type=MERGE_PATCH)
    assert (await refusal(client, f"{BASE}/nodes")).code == 503
    await client.patch(
        registry.APISERVICES,
        NAME,
        {"spec": {"service": None, "insecureSkipTLSVerify": None}},
        content_type=MERGE_PATCH,
    )
    assert (await client.document(f"{BASE}/nodes"))["items"]


def test_the_metrics_api_is_built_in(tmp_path: Path) -> None:
    async def tell() -> None:
        async with offering(tmp_path) as (world, client):
            await read(client)
            await select(client)
            await described(client)
            await left_to_another(client)
            await taken_back(world, client)

    asyncio.run(tell())
