"""The other API servers behind this one, as the rest of the server sees them."""

from __future__ import annotations

from urllib.parse import quote

from knarr.apimachinery.types import Object
from knarr.apiserver.aggregation.backends import Backends, Identify
from knarr.apiserver.aggregation.documents import Other
from knarr.apiserver.aggregation.proxy import Proxy
from knarr.apiserver.aggregation.routes import Route, Routes
from knarr.apiserver.attributes import Reader
from knarr.apiserver.request import Request, Response
from knarr.apiserver.watch_cache import Collection

_PATH_SAFE = "/:@!$&'()*+,;=~"


class Aggregator:
    """Routes requests, and remembers what the others said they serve."""

    def __init__(self, collection: Collection, reader: Reader, identify: Identify | None = None) -> None:
        self.routes = Routes(collection)
        self.backends = Backends(reader, identify)
        self._proxy = Proxy(self.backends)
        self._told: dict[str, tuple[Object, ...]] = {}
        self._told_changes = 0

    def route(self, path: str) -> Route | None:
        """The other server that a path belongs to."""
        return self.routes.of(path)

    async def answer(self, request: Request, route: Route) -> Response:
        """The other server's answer. Raises `StatusError` 503."""
        target = quote(request.path, safe=_PATH_SAFE) + (f"?{request.raw_query}" if request.raw_query else "")
        return await self._proxy.answer(request, route, target)

    def streams_body(self, _method: str, path: str) -> bool:
        """Whether a request's body is passed on as it comes in."""
        return self.routes.of(path) is not None

    # discovery

    def told(self, route: Route, resources: tuple[Object, ...]) -> None:
        """What a server has said it serves."""
        if self._told.get(route.name) != resources:
            self._told[route.name] = resources
            self._told_changes += 1

    @property
    def generation(self) -> int:
        """Grows with every change of `others`."""
        return self.routes.generation + self._told_changes

    def others(self) -> list[Other]:
        """The group-versions of other servers."""
        found = self.routes.all.values()
        return [Other(route, self._told.get(route.name, ()), route.available) for route in found]
