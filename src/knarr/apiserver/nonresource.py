"""Paths that name no resource: discovery, version, health, metrics, the keys of service-account tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from knarr.apimachinery.errors import StatusError, page_not_found
from knarr.apiserver import negotiation, responses
from knarr.apiserver.discovery import Discovery
from knarr.apiserver.health import Health
from knarr.apiserver.metrics import Metrics, checks
from knarr.apiserver.published_keys import PublishedKeys
from knarr.apiserver.request import Request, Response
from knarr.apiserver.version import version_info
from knarr.component_base.metrics import CONTENT_TYPE, Registry

_METHOD = "the server does not allow this method on the requested resource"
_ROOTS = (
    "/.well-known/openid-configuration",
    "/api",
    "/api/v1",
    "/apis",
    "/apis/",
    "/metrics",
    "/metrics/slis",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/openid/v1/jwks",
    "/version",
)
#: Answers the OpenAPI documents (`/openapi/v2`, `/openapi/v3/…`); None for a path it does not know.
OpenApi = Callable[[Request], Awaitable[Response | None]]


def method_not_allowed() -> StatusError:
    """405 of a path that serves other methods."""
    return StatusError(405, "MethodNotAllowed", _METHOD, {})


class NonResource:
    """Answers what is no resource."""

    def __init__(self, discovery: Discovery, health: Health, metrics: Metrics, keys: PublishedKeys) -> None:
        self.discovery = discovery
        self.health = health
        self.metrics = metrics
        self.openapi: OpenApi | None = None
        self._checks = Registry([checks(health)])
        self._exact: dict[str, Callable[[Request], Response]] = {
            "/version": self._version,
            "/metrics": self._metrics,
            "/metrics/slis": self._slis,
            **keys.paths(),
        }

    async def answer(self, request: Request) -> Response:
        """The answer; 404 as plain text where nothing is. Raises `StatusError`."""
        path = request.path
        found = self.health.answer(request)
        if found is not None:
            return found
        if path == "/":
            return self._root(request)
        served = await self._get(request)
        if served is None and (path == "/api" or path.startswith("/api/")):
            raise page_not_found()
        if served is None:
            return responses.page_not_found()
        if request.method != "GET":
            raise method_not_allowed()
        return served

    async def _get(self, request: Request) -> Response | None:
        path = request.path.rstrip("/")
        exact = self._exact.get(path)
        if exact is not None:
            return exact(request)
        if path.startswith("/openapi/"):
            return await self.openapi(request) if self.openapi is not None else None
        return self.discovery.answer(request)

    def _root(self, request: Request) -> Response:
        paths = [*_ROOTS, *self.health.paths()]
        for group, versions in self.discovery.groups().items():
            paths += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions)] if group else []
        form = negotiation.negotiate(request.headers.get("accept", ""), tables=False)
        return responses.obj({"paths": sorted(paths)}, request, form)

    def _version(self, request: Request) -> Response:
        return responses.obj(version_info(), request, negotiation.PLAIN)

    def _metrics(self, _request: Request) -> Response:
        return Response(200, self.metrics.registry.text(), CONTENT_TYPE)

    def _slis(self, _request: Request) -> Response:
        return Response(200, self._checks.text(), CONTENT_TYPE)
