"""Which paths are other servers': the APIServices that name a Service, and those of APIs that are built in beside ours.

Input: the collection of APIServices, the built-in group-versions. Output: a route a group-version, made anew after a
change of the collection; a request looks at one number when nothing has changed.
"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from knarr.apimachinery.types import Object
from knarr.apiserver.cache_reader import decode
from knarr.apiserver.watch_cache import Collection, Entry
from knarr.apiserver.webhooks import endpoints
from knarr.apiserver.webhooks.endpoints import ServicePort

_AVAILABLE = "Available"
_SERVICE = b'"service":{'
_NOWHERE = ServicePort("", "")


@dataclass(frozen=True, slots=True)
class Route:
    """A group-version that another server serves."""

    name: str
    group: str
    version: str
    service: ServicePort
    #: Base64 of PEM; empty for the system's authorities.
    authority: str
    insecure: bool
    available: bool
    #: Where it stands in discovery: higher ones first.
    group_priority: int
    version_priority: int
    #: It is answered in this process; there is no Service.
    built_in: bool = False

    @property
    def path(self) -> str:
        """The path of its discovery document."""
        return f"/apis/{self.group}/{self.version}"


class Routes:
    """The routes of a server. `built_in` may grow before the first APIService of one of them is written."""

    def __init__(self, collection: Collection, built_in: Names[tuple[str, str]] = ()) -> None:
        self._collection = collection
        self._built_in = built_in
        self._made_at = -1
        self._routes: dict[tuple[str, str], Route] = {}
        self._generation = 0

    @property
    def all(self) -> Mapping[tuple[str, str], Route]:
        """Routes by group and version."""
        if self._made_at != self._collection.changed:
            self._made_at = self._collection.changed
            made = {(one.group, one.version): one for one in self._make()}
            if made != self._routes:
                self._routes = made
                self._generation += 1
        return self._routes

    @property
    def generation(self) -> int:
        """Grows with every change of the routes."""
        _ = self.all
        return self._generation

    def of(self, path: str) -> Route | None:
        """The route of a request's path."""
        found = self.all
        if not found or not path.startswith("/apis/"):
            return None
        parts = path.split("/", 4)
        return found.get((parts[2], parts[3])) if len(parts) > 3 else None

    def _make(self) -> list[Route]:
        found = (decode(self._collection, entry) for entry in self._entries())
        return [route(one) for one in found if one["spec"].get("group") and self._leads_away(one["spec"])]

    def _entries(self) -> Iterator[Entry]:
        # Most are this server's own, of which there may be a thousand: they are told by their bytes.
        names = {f"{self._collection.prefix}{version}.{group}" for group, version in self._built_in}
        for entry in self._collection.range(self._collection.prefix):
            if _SERVICE in entry.body or entry.key in names:
                yield entry

    def _leads_away(self, spec: Object) -> bool:
        return bool(spec.get("service")) or (spec["group"], spec["version"]) in self._built_in


def route(api_service: Object) -> Route:
    """The route of an APIService that names a Service, or of one that is built in."""
    spec = api_service["spec"]
    service = spec.get("service")
    return Route(
        name=api_service["metadata"]["name"],
        group=spec["group"],
        version=spec["version"],
        service=endpoints.service_port(service) if service else _NOWHERE,
        authority=spec.get("caBundle") or "",
        insecure=bool(spec.get("insecureSkipTLSVerify")),
        available=is_available(api_service),
        group_priority=spec.get("groupPriorityMinimum", 0),
        version_priority=spec.get("versionPriority", 0),
        built_in=not service,
    )


def is_available(api_service: Object) -> bool:
    """Whether the condition says so."""
    conditions = (api_service.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == _AVAILABLE and one.get("status") == "True" for one in conditions)
