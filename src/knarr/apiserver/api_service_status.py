"""Keeps the condition `Available` of APIServices; woken by what it depends on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from knarr.api import registry
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver import availability, loopback
from knarr.apiserver.aggregation import checks, documents, openapi, routes
from knarr.apiserver.aggregation.aggregator import Told
from knarr.apiserver.aggregation.checks import CheckError
from knarr.apiserver.availability import Verdict, judge
from knarr.apiserver.context import Context
from knarr.apiserver.watch_cache import Change, Collection
from knarr.component_base.http_server import Handler
from knarr.component_base.metrics import About, Counter, Looked
from knarr.component_base.tasks import Tasks

_GROUP = "apiregistration.k8s.io"
_SERVICE_NAME = "kubernetes.io/service-name"
_TYPE = "Available"
#: Seconds until a server that failed is asked again at first, and until one is asked again anyway.
_FIRST_PAUSE, _RECHECK = 0.25, 30.0
_UNAVAILABLE = About(
    "aggregator_unavailable_apiservice",
    "Gauge of APIServices which are marked as unavailable broken down by APIService name.",
    ("name",),
)
_TOTAL = About(
    "aggregator_unavailable_apiservice_total",
    "Counter of APIServices which are marked as unavailable broken down by APIService name and reason.",
    ("name", "reason"),
)
_OPENAPI = ("/openapi/v3", "/openapi/v2")


class ApiServiceStatus:
    """Writes the condition whenever it is not what the cluster's objects say."""

    def __init__(self, ctx: Context, handler: Handler, tasks: Tasks) -> None:
        self._ctx = ctx
        self._handler = handler
        self._tasks = tasks
        self._looking: set[str] = set()
        self._again: set[str] = set()
        #: Seconds until those that failed are asked again, and which wait counts.
        self._pauses: dict[str, float] = {}
        self._turns: dict[str, int] = {}
        self._became_unavailable = Counter(_TOTAL)

    @property
    def families(self) -> tuple[Looked, Counter]:
        """What is counted."""
        return Looked(_UNAVAILABLE, self._unavailable), self._became_unavailable

    def _unavailable(self) -> Iterator[tuple[tuple[str], float]]:
        for api_service in self._ctx.reader.list("apiservices", _GROUP):
            yield (api_service["metadata"]["name"],), 0.0 if routes.is_available(api_service) else 1.0

    async def repair(self) -> None:
        """Look at all of them. Raises `StatusError`."""
        names = [each["metadata"]["name"] for each in self._ctx.reader.list("apiservices", _GROUP)]
        await asyncio.gather(*(self._look_at(name) for name in names))

    def on_change(self, collection: Collection, change: Change) -> None:
        """Look at the APIServices that a change concerns."""
        plural, group = collection.resource.plural, collection.resource.group
        meta = change.entry.head.metadata
        if (plural, group) == ("apiservices", _GROUP):
            if not change.deleted:
                self._tasks.start(self._look_at(meta.name), "api-service")
        elif (plural, group) == ("services", ""):
            self._changed(meta.namespace, meta.name)
        elif (plural, group) == ("endpointslices", "discovery.k8s.io"):
            self._changed(meta.namespace, (meta.labels or {}).get(_SERVICE_NAME, ""))

    def _changed(self, namespace: str, name: str) -> None:
        """A Service or its endpoints: most are no API's."""
        for route in self._ctx.aggregator.routes.all.values():
            if (route.service.namespace, route.service.name) == (namespace, name):
                self._tasks.start(self._look_at(route.name), "api-service")

    async def _look_at(self, name: str) -> None:
        """Look at one, one look at a time: what comes meanwhile leads to another."""
        if name in self._looking:
            self._again.add(name)
            return
        self._looking.add(name)
        try:
            while True:
                self._again.discard(name)
                await self._look(name)
                if name not in self._again:
                    return
        finally:
            self._looking.discard(name)

    async def _look(self, name: str) -> None:
        api_service = self._ctx.reader.get("apiservices", _GROUP, "", name)
        if api_service is None:
            self._pauses.pop(name, None)
            return
        verdict = self._judge(api_service)
        if verdict is None:
            verdict = await self._ask(api_service)
        await self._write(api_service, verdict)

    async def _ask(self, api_service: Object) -> Verdict:
        """The verdict of asking the other server; it is asked again before long."""
        name, route = api_service["metadata"]["name"], routes.route(api_service)
        aggregator = self._ctx.aggregator
        try:
            found = await checks.discover(aggregator.backends, route)
        except CheckError as error:
            pause = self._pauses[name] = min(2 * self._pauses.get(name, _FIRST_PAUSE / 2), _RECHECK)
            self._later(name, pause)
            return availability.failed(str(error))
        self._pauses.pop(name, None)
        self._later(name, _RECHECK)
        v3, v2 = await asyncio.gather(*(checks.optional(aggregator.backends, route, path) for path in _OPENAPI))
        # It may be large, or meant to be: others are served meanwhile.
        part = await asyncio.to_thread(openapi.part, v2, route) if v2 is not None else None
        aggregator.told(route, Told(documents.resources(found), openapi.index(v3, route), part))
        return availability.PASSED

    def _later(self, name: str, pause: float) -> None:
        """Look again after a while; of several whiles the last counts."""
        turn = self._turns[name] = self._turns.get(name, 0) + 1

        async def wait() -> None:
            await self._ctx.clock.sleep(pause)
            if self._turns.get(name) == turn:
                await self._look_at(name)

        self._tasks.start(wait(), "api-service")

    async def _write(self, api_service: Object, verdict: Verdict) -> None:
        name = api_service["metadata"]["name"]
        conditions = (api_service.get("status") or {}).get("conditions") or []
        have: Object = next((each for each in conditions if each.get("type") == _TYPE), {})
        if verdict == (have.get("status"), have.get("reason"), have.get("message")):
            return
        if verdict.status != "True" and have.get("status") != verdict.status:
            self._became_unavailable.add((name, verdict.reason))
        condition = self._condition(verdict, have)
        others = [condition if each is have else each for each in conditions]
        status = {"conditions": others if have else [*others, condition]}
        path = registry.APISERVICES.path("", name, "status")
        try:
            await loopback.call(self._handler, "PATCH", path, {"status": status}, loopback.MERGE_PATCH)
        except StatusError as error:
            # It is gone meanwhile: nothing is left to say of it.
            if error.code != 404:
                raise

    def _judge(self, api_service: Object) -> Verdict | None:
        reference = api_service["spec"].get("service") or {}
        namespace, name = reference.get("namespace", ""), reference.get("name", "")
        service = self._ctx.reader.get("services", "", namespace, name) if name else None
        slices = (
            each
            for each in (self._ctx.reader.list("endpointslices", "discovery.k8s.io", namespace) if service else ())
            if (each["metadata"].get("labels") or {}).get(_SERVICE_NAME) == name
        )
        return judge(api_service, service, slices)

    def _condition(self, verdict: Verdict, before: Object) -> Object:
        now = timestamps.seconds(self._ctx.clock.now())
        changed = before.get("lastTransitionTime") if before.get("status") == verdict.status else None
        return {
            "type": _TYPE,
            "status": verdict.status,
            "lastTransitionTime": changed or now,
            "reason": verdict.reason,
            "message": verdict.message,
        }
