"""The other API servers behind this one, as the rest of the server sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from msgspec.structs import replace

from knarr.apimachinery.types import Object
from knarr.apiserver.aggregation.backends import Backends, Identify
from knarr.apiserver.aggregation.documents import Other
from knarr.apiserver.aggregation.openapi import Part
from knarr.apiserver.aggregation.proxy import Proxy
from knarr.apiserver.aggregation.routes import Route, Routes
from knarr.apiserver.attributes import Reader
from knarr.apiserver.request import Request, Response, UserInfo
from knarr.apiserver.watch_cache import Collection

_PATH_SAFE = "/:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class Told:
    """What another server says of itself: resources, where its v3 document is, its part of the v2 document."""

    resources: tuple[Object, ...] = ()
    openapi_v3: str = ""
    openapi_v2: Part | None = None


class BuiltIn(Protocol):
    """A group-version that this process answers as if another server did, until its APIService names a Service."""

    @property
    def told(self) -> Told:
        """What it says of itself."""
        ...

    async def answer(self, request: Request) -> Response:
        """The answer to a request for the group-version. Raises `StatusError`."""
        ...

    async def document(self, request: Request) -> Response:
        """Its OpenAPI v3 document."""
        ...


class Aggregator:
    """Routes requests, and remembers what the others said they serve."""

    def __init__(self, collection: Collection, reader: Reader, identify: Identify | None = None) -> None:
        #: By group and version; to be filled before the APIService is there.
        self.built_in: dict[tuple[str, str], BuiltIn] = {}
        self.routes = Routes(collection, self.built_in)
        self.backends = Backends(reader, identify)
        self._proxy = Proxy(self.backends)
        self._told: dict[str, Told] = {}
        self._told_changes = 0

    def route(self, path: str) -> Route | None:
        """The other server that a path belongs to."""
        return self.routes.of(path)

    async def answer(self, request: Request, route: Route) -> Response:
        """The other server's answer, 503 when it cannot be reached. Raises `StatusError` where it is built in."""
        if route.built_in:
            return await self.built_in[route.group, route.version].answer(request)
        target = quote(request.path, safe=_PATH_SAFE) + (f"?{request.raw_query}" if request.raw_query else "")
        return await self._proxy.answer(request, route, target)

    def streams_body(self, _method: str, path: str) -> bool:
        """Whether a request's body is passed on as it comes in."""
        route = self.routes.of(path)
        return route is not None and not route.built_in

    # documents

    def told(self, route: Route, what: Told) -> None:
        """What a server has said of itself."""
        if self._told.get(route.name) != what:
            self._told[route.name] = what
            self._told_changes += 1

    @property
    def generation(self) -> int:
        """Grows with every change of what the others say."""
        return self.routes.generation + self._told_changes

    def others(self) -> list[Other]:
        """The group-versions of other servers."""
        return [Other(route, told.resources, route.available) for route, told in self._known()]

    def openapi_v3(self) -> dict[str, str]:
        """The v3 documents that others have: name (`apis/g/v`) → URL with its hash."""
        return {route.path[1:]: told.openapi_v3 for route, told in self._known() if told.openapi_v3}

    def openapi_v2(self) -> list[Part]:
        """What others add to the v2 document."""
        return [told.openapi_v2 for _, told in self._known() if told.openapi_v2 is not None]

    async def document(self, request: Request, name: str) -> Response | None:
        """The v3 document of another server."""
        route = self.routes.of(f"/{name}")
        if route is None:
            return None
        if route.built_in:
            return await self.built_in[route.group, route.version].document(request)
        query = f"?{request.raw_query}" if request.raw_query else ""
        asked = replace(request, user=_AGGREGATOR)
        return await self._proxy.answer(asked, route, f"/openapi/v3{route.path}{query}")

    def _known(self) -> list[tuple[Route, Told]]:
        return [(route, self._said(route)) for route in self.routes.all.values()]

    def _said(self, route: Route) -> Told:
        return (
            self.built_in[route.group, route.version].told if route.built_in else self._told.get(route.name, _NOTHING)
        )


_NOTHING = Told()
_AGGREGATOR = UserInfo("system:aggregator")
