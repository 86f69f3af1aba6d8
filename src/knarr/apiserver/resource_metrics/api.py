"""Answers `metrics.k8s.io/v1beta1`: which nodes and pods there are the watch cache tells, what they use the history.

Source of rules and texts: metrics-server (pkg/api).
"""

from __future__ import annotations

from collections.abc import Iterator

from knarr.api import registry
from knarr.apimachinery.errors import bad_request, not_acceptable, not_found, page_not_found
from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.apiserver import negotiation, options, responses, selectable
from knarr.apiserver.aggregation.aggregator import Told
from knarr.apiserver.negotiation import TABLE, Form
from knarr.apiserver.nonresource import method_not_allowed
from knarr.apiserver.request import Request, RequestInfo, Response
from knarr.apiserver.resource_metrics import documents, objects
from knarr.apiserver.resource_metrics.history import History
from knarr.apiserver.selectors import Selectors
from knarr.apiserver.tables import check_options
from knarr.apiserver.watch_cache import Entry, WatchCache
from knarr.component_base.clock import Clock

_KINDS = {"nodes": objects.NODE, "pods": objects.POD}
_NAME, _NAMESPACE = "metadata.name", "metadata.namespace"


class MetricsApi:
    """Implements `aggregator.BuiltIn`."""

    def __init__(self, cache: WatchCache, history: History, clock: Clock) -> None:
        self._cache = cache
        self._history = history
        self._clock = clock
        self.told: Told = documents.told()

    async def answer(self, request: Request) -> Response:
        """The answer to a request. Raises `StatusError`."""
        info = request.info
        if info is None or not info.is_resource:
            return _discovery(request)
        kind = _KINDS.get(info.resource)
        if kind is None or info.subresource or (kind == objects.NODE and info.namespace):
            raise page_not_found()
        if info.verb not in ("get", "list") or request.method != "GET":
            raise method_not_allowed()
        form = negotiation.negotiate(request.headers.get("accept", ""), messages=False)
        if request.path.rstrip("/").endswith(f"/{info.resource}"):
            return self._list(request, info, form)
        return self._get(request, info, form)

    async def document(self, request: Request) -> Response:
        """The OpenAPI v3 document."""
        return responses.obj(documents.openapi_v3(), request, negotiation.PLAIN)

    def _get(self, request: Request, info: RequestInfo, form: Form) -> Response:
        if info.resource == "pods" and not info.namespace:
            raise page_not_found()
        collection = self._cache.collection(registry.PODS if info.resource == "pods" else registry.NODES)
        name = f"{info.namespace}/{info.name}" if info.namespace else info.name
        entry = collection.entries.get(collection.prefix + name)
        if entry is None:
            raise not_found(info.resource, "", name)
        found = self._metrics(info.resource, entry)
        if found is None:
            raise not_found(f"{info.resource[:-1]}metrics", objects.GROUP, name)
        return _respond(request, form, [found], _KINDS[info.resource], single=True)

    def _list(self, request: Request, info: RequestInfo, form: Form) -> Response:
        wanted = options.list_options(request.query, _transform, watch=False).selectors
        found = [each for entry in self._entries(info, wanted) if (each := self._metrics(info.resource, entry))]
        return _respond(request, form, found, _KINDS[info.resource])

    def _entries(self, info: RequestInfo, wanted: Selectors) -> Iterator[Entry]:
        pods = info.resource == "pods"
        resource = registry.PODS if pods else registry.NODES
        collection = self._cache.collection(resource)
        prefix = f"{collection.prefix}{info.namespace}/" if info.namespace else collection.prefix
        label = wanted.one_label()
        found = collection.labelled(*label, prefix) if label is not None else collection.range(prefix)
        selects = wanted.compile(selectable.getters("", resource.plural, namespaced=pods))
        for entry in found:
            running = not pods or entry.head.status.phase == "Running"
            if running and (selects is None or selects(entry.head)):
                yield entry

    def _metrics(self, resource: str, entry: Entry) -> Object | None:
        meta, now = entry.head.metadata, self._clock.now()
        if resource == "nodes":
            use = self._history.of_node(meta.name)
            return objects.node(meta.name, meta.labels, use, now) if use is not None else None
        name = (meta.namespace, meta.name)
        uses = self._history.of_pod(name, entry.head.spec.nodeName)
        return objects.pod(name, meta.labels, uses, now) if uses is not None else None


def _discovery(request: Request) -> Response:
    """What stands under the path of the group-version itself."""
    if request.path.count("/") > 3 and not request.path.endswith("/"):
        raise page_not_found()
    if request.method != "GET":
        raise method_not_allowed()
    form = negotiation.negotiate(request.headers.get("accept", ""), tables=False)
    return responses.obj(documents.resource_list(), request, form)


def _respond(request: Request, form: Form, found: list[Object], kind: str, *, single: bool = False) -> Response:
    if form.kind == TABLE:
        return responses.obj(objects.table(found, check_options(request.query), kind), request, form)
    if form.kind:
        raise not_acceptable(negotiation.MEDIA_TYPES)
    return responses.obj(objects.single(kind, found[0]) if single else objects.listed(kind, found), request, form)


def _transform(name: str, value: str) -> tuple[str, str]:
    """Raises `StatusError` 400 for a field that cannot be selected by."""
    if name not in (_NAME, _NAMESPACE):
        known = f'only "{_NAME}", "{_NAMESPACE}"'
        raise bad_request(f"{quote(name)} is not a known field selector: {known}")
    return name, value
