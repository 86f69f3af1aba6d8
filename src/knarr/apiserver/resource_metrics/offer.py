"""Puts the group into a running server: its APIService, the role that lets people read it, the scraping of kubelets.

An APIService that names a Service (metrics-server's own manifest) takes the group over; without one again, or with
none, this server's answers, or nobody. It is written when a server starts, unless it is there.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver import loopback
from knarr.apiserver.context import Context
from knarr.apiserver.resource_metrics.api import MetricsApi
from knarr.apiserver.resource_metrics.history import History
from knarr.apiserver.resource_metrics.objects import GROUP, VERSION
from knarr.apiserver.resource_metrics.scraper import Scraper
from knarr.component_base.http_server import Handler

_RBAC = "rbac.authorization.k8s.io"
_ROLE = "system:aggregated-metrics-reader"
_LABELS = {"k8s-app": "metrics-server"}


async def withdraw(ctx: Context, handler: Handler) -> None:
    """Take back what an earlier start has offered, unless another server has taken it over. Raises `StatusError`."""
    name = f"{VERSION}.{GROUP}"
    found = ctx.reader.get(registry.APISERVICES.plural, registry.APISERVICES.group, "", name)
    if found is None or found["spec"].get("service"):
        return
    try:
        await loopback.call(handler, "DELETE", registry.APISERVICES.path("", name))
    except StatusError as error:
        if error.reason != "NotFound":
            raise


@dataclass(frozen=True, slots=True)
class Offer:
    """One server's metrics API. `resolution` is the seconds between looks at a kubelet."""

    ctx: Context
    handler: Handler
    kubelets: ssl.SSLContext
    resolution: float

    async def run(self) -> None:
        """Offer it until cancelled. Raises `StatusError`."""
        ctx, history = self.ctx, History(self.resolution)
        ctx.aggregator.built_in[GROUP, VERSION] = MetricsApi(ctx.cache, history, ctx.clock)
        scraper = Scraper(ctx.reader, self.kubelets, ctx.clock, history)
        ctx.metrics.registry.add(*scraper.families)
        try:
            await self._ensure(registry.resource("clusterroles", _RBAC), _role())
            await self._ensure(registry.APISERVICES, _api_service())
            await scraper.run(self.resolution)
        finally:
            ctx.metrics.registry.remove(*scraper.families)

    async def _ensure(self, resource: Resource, obj: Object) -> None:
        """Create what is not there."""
        if self.ctx.reader.get(resource.plural, resource.group, "", obj["metadata"]["name"]) is not None:
            return
        try:
            await loopback.call(self.handler, "POST", resource.path(), obj)
        except StatusError as error:
            # Another server of the same store may start at the same time.
            if error.reason != "AlreadyExists":
                raise


def _api_service() -> Object:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{VERSION}.{GROUP}", "labels": _LABELS},
        "spec": {"group": GROUP, "version": VERSION, "groupPriorityMinimum": 100, "versionPriority": 100},
    }


def _role() -> Object:
    aggregated = {f"{_RBAC}/aggregate-to-{role}": "true" for role in ("admin", "edit", "view")}
    rule = {"apiGroups": [GROUP], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": _ROLE, "labels": {**_LABELS, **aggregated}},
        "rules": [rule],
    }
