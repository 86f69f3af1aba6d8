"""Autoscalers of custom resources, by metrics that other servers serve: with the rights of the controller's account."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.component.apiserver.test_aggregation import Setting, run
from tests.component.apiserver.world import NAMESPACE, pod
from tests.webhook_server import send_json

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.client.client import MERGE_PATCH, Client
from knarr.client.local import LocalTransport
from knarr.component_base.clock import RealClock
from knarr.component_base.http import UserInfo
from knarr.controller import podautoscaler
from knarr.controller_runtime.events import Recorder
from knarr.controller_runtime.informers import Informers
from knarr.controller_runtime.manager import Manager, Surroundings
from knarr.controller_runtime.names import RandomNames

CUSTOM, EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
WORKERS = Resource("example.com", "v1", "workers", "Worker", namespaced=True)
_GROUPS = ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")
_PATIENCE = 60.0


class Figures:
    """Answers for both groups. `asked` keeps what it was asked for."""

    def __init__(self) -> None:
        self.value = 0
        self.asked: set[tuple[str, str]] = set()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        path = unquote(parts.path)
        if "/namespaces/" not in path:
            # Discovery; of OpenAPI there is nothing.
            known = path.startswith("/apis/") and path.count("/") == 3
            groups = {"kind": "APIResourceList", "groupVersion": path.removeprefix("/apis/"), "resources": []}
            send_json(handler, groups if known else {}, 200 if known else 404)
            return
        selector = parse_qs(parts.query).get("labelSelector", [""])[0]
        self.asked.add((path, selector))
        about = {"kind": "Pod", "namespace": NAMESPACE, "name": "one"}
        item = {"value": str(self.value), "timestamp": "2026-01-01T00:00:00Z", "describedObject": about}
        send_json(handler, {"kind": "MetricValueList", "metadata": {}, "items": [item]})


async def register(at: Setting) -> None:
    """Both groups lead to the server on loopback."""
    service = {"type": "ExternalName", "externalName": "localhost"}
    await at.client.create(registry.SERVICES, {"metadata": {"name": "wardle"}, "spec": service}, NAMESPACE)
    reference = {"namespace": NAMESPACE, "name": "wardle", "port": at.other.server_address[1]}
    for group, version in ((CUSTOM, "v1beta2"), (EXTERNAL, "v1beta1")):
        spec = {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": reference,
            "caBundle": at.bundle,
        }
        await at.client.create(registry.APISERVICES, {"metadata": {"name": f"{version}.{group}"}, "spec": spec})
        await until(lambda: at.world.api.ctx.aggregator.routes.all[group, version].available)  # noqa: B023


async def define(client: Client) -> None:
    """A custom resource with a scale, and one of it with a pod that is ready."""
    numbers = {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": numbers, "status": numbers}}},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
    }
    names = {"plural": "workers", "kind": "Worker"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    crd = {"metadata": {"name": "workers.example.com"}, "spec": spec}
    await client.create(registry.CUSTOMRESOURCEDEFINITIONS, crd)
    await established(client)
    worker = {"apiVersion": "example.com/v1", "kind": "Worker", "metadata": {"name": "w", "namespace": NAMESPACE}}
    await client.create(WORKERS, {**worker, "spec": {"replicas": 1}}, NAMESPACE)
    status = {"replicas": 1, "selector": "app=worker"}
    await client.patch(WORKERS, "w", {"status": status}, NAMESPACE, content_type=MERGE_PATCH, subresource="status")
    one = pod("one")
    one["metadata"]["labels"] = {"app": "worker"}
    await client.create(registry.PODS, one, NAMESPACE)
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"}
    status = {"phase": "Running", "conditions": [ready]}
    await client.patch(registry.PODS, "one", {"status": status}, NAMESPACE, subresource="status")


@asynccontextmanager
async def autoscaling(at: Setting) -> AsyncIterator[None]:
    """The controller, as its service account, with short periods."""
    handler, clock = at.world.api.handler, RealClock()

    def client_for(account: str) -> Client:
        name = f"system:serviceaccount:kube-system:{account}" if account else "system:kube-controller-manager"
        return Client(LocalTransport(handler, UserInfo(name, _GROUPS if account else ("system:authenticated",))))

    informers = Informers(client_for(""), clock)
    recorder = Recorder(client_for(""), clock)
    settings = podautoscaler.Settings(sync_period=0.2, downscale_stabilization=0.1)
    around = Surroundings(informers, client_for, clock, recorder, RandomNames())
    manager = Manager(around, [podautoscaler.controller(settings)])
    informers.run()
    running = asyncio.ensure_future(manager.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await informers.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not holds():  # noqa: ASYNC110 - what it waits for tells nobody
            await asyncio.sleep(0.02)


async def established(client: Client) -> None:
    async with asyncio.timeout(_PATIENCE):
        while True:
            found = await client.get(registry.CUSTOMRESOURCEDEFINITIONS, "workers.example.com")
            if "Established" in [one["type"] for one in (found.get("status") or {}).get("conditions") or ()]:
                return
            await asyncio.sleep(0.02)


async def size(client: Client, wanted: int) -> None:
    """Wait until the target has a size."""
    async with asyncio.timeout(_PATIENCE):
        while (await client.get(WORKERS, "w", NAMESPACE))["spec"]["replicas"] != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def metrics() -> list[Object]:
    about = {"apiVersion": "v1", "kind": "Service", "name": "wardle"}
    chosen = {"matchLabels": {"queue": "jobs"}}
    four, many = {"type": "AverageValue", "averageValue": "4"}, {"type": "Value", "value": "1000"}
    return [
        {"type": "Pods", "pods": {"metric": {"name": "qps"}, "target": {"type": "AverageValue", "averageValue": "1k"}}},
        {"type": "Object", "object": {"metric": {"name": "hits"}, "describedObject": about, "target": many}},
        {"type": "External", "external": {"metric": {"name": "depth", "selector": chosen}, "target": four}},
    ]


def test_a_custom_resource_is_scaled_by_metrics_of_other_servers(tmp_path: Path) -> None:
    figures = Figures()

    async def story(at: Setting) -> None:
        at.other.hostile = figures.answer
        await register(at)
        await define(at.client)
        figures.value = 12
        spec = {
            "scaleTargetRef": {"apiVersion": "example.com/v1", "kind": "Worker", "name": "w"},
            "minReplicas": 1,
            "maxReplicas": 5,
            "metrics": metrics(),
        }
        async with autoscaling(at):
            await at.client.create(registry.HPAS, {"metadata": {"name": "w"}, "spec": spec}, NAMESPACE)
            await size(at.client, 3)
            figures.value = 1
            await size(at.client, 1)
            hpa = await at.client.get(registry.HPAS, "w", NAMESPACE)
            active = [one for one in hpa["status"]["conditions"] if one["type"] == "ScalingActive"]
            assert active[0]["reason"] == "ValidMetricFound", json.dumps(hpa["status"])

    run(tmp_path, story)
    base = f"/apis/{CUSTOM}/v1beta2/namespaces/{NAMESPACE}"
    assert (f"{base}/pods/*/qps", "app=worker") in figures.asked
    assert (f"{base}/services/wardle/hits", "") in figures.asked
    assert (f"/apis/{EXTERNAL}/v1beta1/namespaces/{NAMESPACE}/depth", "queue=jobs") in figures.asked
