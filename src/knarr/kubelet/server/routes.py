"""The kubelet's HTTPS API: one handler over one visible table of routes.

Source: pkg/kubelet/server. Whoever asks is authenticated and authorized first, whatever the path.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.http import Request, Response, UserInfo
from knarr.component_base.http_server import HttpServer
from knarr.component_base.metrics import CONTENT_TYPE
from knarr.kubelet.machine import Machine
from knarr.kubelet.metrics import KubeletMetrics
from knarr.kubelet.server import auth
from knarr.kubelet.server.answers import Refused, json, text
from knarr.kubelet.server.container_logs import ContainerLogs
from knarr.kubelet.server.stats import Stats
from knarr.kubelet.server.streams import Streams
from knarr.kubelet.server.view import KubeletView

_log = logs.get("kubelet-server")


@dataclass(frozen=True, slots=True)
class ServingFiles:
    """The serving certificate and its key, and the authority that client certificates come from (PEM files)."""

    certificate: Path
    key: Path
    client_authority: Path

    def context(self) -> ssl.SSLContext:
        """TLS that asks for a client certificate and takes connections without one. Raises `OSError`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.client_authority)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context


class Route(NamedTuple):
    """A path and who answers it. A part in braces takes any part of the path."""

    methods: tuple[str, ...]
    path: tuple[str, ...]
    answer: Callable[[Request, dict[str, str]], Awaitable[Response]]


class KubeletServer:
    """Answers the kubelet's API."""

    def __init__(
        self, view: KubeletView, client: Client, clock: Clock, metrics: KubeletMetrics, machine: Machine
    ) -> None:
        self._view = view
        self._access = auth.Access(client, view.node_name, clock)
        self._metrics = metrics
        self._streams = Streams(view)
        self._logs = ContainerLogs(view, clock)
        self._stats = Stats(view, clock, machine)
        self._clock = clock
        self._routes = self._table()
        #: First parts of paths: clients must not make up labels.
        self._known = frozenset(route.path[0] for route in self._routes)

    def http(self, tls: ssl.SSLContext) -> HttpServer:
        """The server to listen with (`listen("0.0.0.0", 10250)`) and to close."""
        return HttpServer(self.handle, tls)

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        began = self._clock.monotonic()
        try:
            return await self._admit(request) or await self._route(request)
        except Refused as refused:
            return text(refused.text, refused.status)
        finally:
            path = request.path if request.path.strip("/").split("/")[0] in self._known else ""
            self._metrics.request(request.method, path, self._clock.monotonic() - began)

    async def _admit(self, request: Request) -> Response | None:
        """The answer for who may not, else None."""
        try:
            user = await self._access.user(request)
            if user is None:
                return text("Unauthorized", 401)
            if await self._access.allowed(user, request):
                return None
        except (StatusError, ConnectionError) as error:
            _log.warning("cannot ask the API server who may use the kubelet", path=request.path, error=error)
            return text("Internal Error", 500)
        return text(_forbidden(user, request), 403)

    async def _route(self, request: Request) -> Response:
        parts = tuple(request.path.strip("/").split("/"))
        allowed: set[str] = set()
        for route in self._routes:
            found = _match(route.path, parts)
            if found is None:
                continue
            if request.method in route.methods:
                return await route.answer(request, found)
            allowed |= set(route.methods)
        if allowed:
            return Response(405, b"405: Method Not Allowed", "text/plain", {"Allow": ", ".join(sorted(allowed))})
        return text("404 page not found\n", 404)

    def _table(self) -> tuple[Route, ...]:
        get, both = ("GET",), ("GET", "POST")
        pod, with_uid = ("{namespace}", "{pod}"), ("{namespace}", "{pod}", "{uid}")
        return (
            Route(get, ("healthz",), self._healthz),
            Route(get, ("healthz", "{check}"), self._healthz),
            Route(get, ("containerLogs", *pod, "{container}"), self._container_logs),
            Route(both, ("exec", *pod, "{container}"), self._exec),
            Route(both, ("exec", *with_uid, "{container}"), self._exec),
            Route(both, ("attach", *pod, "{container}"), self._attach),
            Route(both, ("attach", *with_uid, "{container}"), self._attach),
            Route(both, ("portForward", *pod), self._port_forward),
            Route(both, ("portForward", *with_uid), self._port_forward),
            Route(("POST",), ("run", *pod, "{container}"), self._run),
            Route(("POST",), ("run", *with_uid, "{container}"), self._run),
            Route(get, ("pods",), self._pods),
            Route(get, ("runningpods",), self._running_pods),
            Route(get, ("metrics",), self._kubelet_metrics),
            Route(get, ("metrics", "resource"), self._resource_metrics),
            Route(get, ("metrics", "cadvisor"), self._cadvisor_metrics),
            Route(get, ("metrics", "probes"), self._probe_metrics),
            Route(get, ("stats", "summary"), self._summary),
            Route(get, ("configz",), self._configz),
        )

    def _pod(self, found: dict[str, str]) -> Object:
        pod = self._view.pod(found["namespace"], found["pod"])
        if pod is None or found.get("uid", pod["metadata"]["uid"]) != pod["metadata"]["uid"]:
            raise Refused(404, "pod does not exist")
        return pod

    async def _healthz(self, _request: Request, _found: dict[str, str]) -> Response:
        why = self._view.unhealthy()
        return text(why, 500) if why else text("ok")

    async def _container_logs(self, request: Request, found: dict[str, str]) -> Response:
        pod = self._view.pod(found["namespace"], found["pod"])
        if pod is None:
            raise Refused(404, f'pod "{found["pod"]}" not found\n')
        return await self._logs(request, pod, found["container"])

    async def _exec(self, request: Request, found: dict[str, str]) -> Response:
        return await self._streams.exec(request, self._pod(found), found["container"])

    async def _attach(self, request: Request, found: dict[str, str]) -> Response:
        return await self._streams.attach(request, self._pod(found), found["container"])

    async def _port_forward(self, request: Request, found: dict[str, str]) -> Response:
        return await self._streams.port_forward(request, self._pod(found))

    async def _run(self, request: Request, found: dict[str, str]) -> Response:
        return await self._streams.run(request, self._pod(found), found["container"])

    async def _pods(self, _request: Request, _found: dict[str, str]) -> Response:
        items = list(self._view.pods())
        return json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _running_pods(self, _request: Request, _found: dict[str, str]) -> Response:
        return await self._stats.running_pods()

    async def _kubelet_metrics(self, _request: Request, _found: dict[str, str]) -> Response:
        return Response(200, self._metrics.text(), CONTENT_TYPE)

    async def _probe_metrics(self, _request: Request, _found: dict[str, str]) -> Response:
        return Response(200, self._metrics.probes.text(), CONTENT_TYPE)

    async def _cadvisor_metrics(self, _request: Request, _found: dict[str, str]) -> Response:
        return await self._stats.cadvisor_metrics()

    async def _resource_metrics(self, _request: Request, _found: dict[str, str]) -> Response:
        return await self._stats.resource_metrics()

    async def _summary(self, _request: Request, _found: dict[str, str]) -> Response:
        return await self._stats.summary()

    async def _configz(self, _request: Request, _found: dict[str, str]) -> Response:
        return json({"kubeletconfig": self._view.configuration()})


def _match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> dict[str, str] | None:
    if len(pattern) != len(parts):
        return None
    found: dict[str, str] = {}
    for want, part in zip(pattern, parts, strict=True):
        if want.startswith("{"):
            found[want.strip("{}")] = part
        elif want != part:
            return None
    return found


def _forbidden(user: UserInfo, request: Request) -> str:
    names = " ".join(auth.subresources(request.path))
    verb = auth.verb(request.method)
    return f"Forbidden (user={user.name}, verb={verb}, resource=nodes, subresource(s)=[{names}])\n"
