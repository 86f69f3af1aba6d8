"""The API server's own metrics, under kube-apiserver's names: requests, admission, store, what is kept.

Requests are counted on the hot path; everything else is looked up when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from knarr.apiserver.access_metrics import AccessMetrics
from knarr.apiserver.admission.pod_standards.metrics import PodSecurityMetrics
from knarr.apiserver.flowcontrol.control import FlowControl
from knarr.apiserver.flowcontrol.metrics import FlowMetrics
from knarr.apiserver.health import Health
from knarr.apiserver.policies.metrics import PolicyMetrics
from knarr.apiserver.request import Request, RequestInfo, Response
from knarr.apiserver.served import ServedResources
from knarr.apiserver.version import version_info
from knarr.apiserver.webhooks.metrics import WebhookMetrics
from knarr.component_base import process_metrics
from knarr.component_base.metrics import STABLE, About, Counter, Gauge, Histogram, Key, Looked, Registry, Sample

_LATENCIES = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
)  # fmt: skip
_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
_STORE = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.5, 2, 3, 4, 5, 8, 15, 30, 60)
_ADMISSION = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
_VERBS = {
    "create": "POST", "get": "GET", "list": "LIST", "watch": "WATCH", "update": "PUT", "patch": "PATCH",
    "delete": "DELETE", "deletecollection": "DELETECOLLECTION", "post": "POST", "put": "PUT", "head": "HEAD",
}  # fmt: skip
_METHODS = frozenset({*_VERBS.values(), "APPLY", "CONNECT", "OPTIONS"})
_CONNECTING = frozenset({"exec", "attach", "portforward", "proxy"})
_READING = frozenset({"get", "list", "watch", "head"})
_HEALTH = ("/healthz", "/livez", "/readyz")
_REQUEST = ("verb", "group", "version", "resource", "subresource", "scope", "component", "dry_run")
_STEP = ("name", "operation", "rejected", "type")


class Metrics:
    """Counters that cost a dictionary look-up each."""

    def __init__(self) -> None:
        self._rows: dict[Key, Row] = {}
        self._durations = Histogram(
            About(
                "apiserver_request_duration_seconds",
                "Response latency distribution in seconds for each verb, dry run value, group, version, resource, "
                "subresource, scope and component.",
                _REQUEST,
                STABLE,
            ),
            _LATENCIES,
        )
        self._sizes = Histogram(
            About(
                "apiserver_response_sizes",
                "Response size distribution in bytes for each group, version, verb, resource, subresource, scope and "
                "component.",
                _REQUEST[:7],
                STABLE,
            ),
            _SIZES,
        )
        self._inflight = Gauge(
            About(
                "apiserver_current_inflight_requests",
                "Number of requests that are being answered, by their kind. Watches and streams are left out.",
                ("request_kind",),
                STABLE,
            ),
            {("readOnly",): 0, ("mutating",): 0},
        )
        #: Watches that run, by what they watch.
        self.watches = Gauge(
            About(
                "apiserver_longrunning_requests",
                "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, "
                "scope and component. Not all requests are tracked this way.",
                _REQUEST[:7],
                STABLE,
            )
        )
        self._deprecated: set[Key] = set()
        self.admission = Histogram(
            About(
                "apiserver_admission_controller_admission_duration_seconds",
                "Admission controller latency histogram in seconds, identified by name and broken out for each "
                "operation and API resource and type (validate or admit).",
                _STEP,
                STABLE,
            ),
            _ADMISSION,
        )
        self.admission_steps = Histogram(
            About(
                "apiserver_admission_step_admission_duration_seconds",
                "Admission sub-step latency histogram in seconds, broken out for each operation and API resource and "
                "step type (validate or admit).",
                _STEP[1:],
                STABLE,
            ),
            _ADMISSION,
        )
        self.store = Histogram(
            About(
                "etcd_request_duration_seconds",
                "Latency of requests to the store in seconds for each operation and resource.",
                ("operation", "group", "resource"),
            ),
            _STORE,
        )
        self.watch_events = Counter(
            About(
                "apiserver_watch_events_total",
                "Number of events sent in watch clients",
                ("group", "version", "resource"),
            )
        )
        self.pod_security = PodSecurityMetrics()
        self.policies = PolicyMetrics()
        self.webhooks = WebhookMetrics()
        self.flows = FlowMetrics()
        self.access = AccessMetrics()
        self.registry = Registry(
            (
                _Requests(self._rows),
                self._durations,
                self._sizes,
                self._inflight,
                self.watches,
                self.admission,
                self.admission_steps,
                self.store,
                self.watch_events,
                *self.pod_security.families,
                *self.policies.families,
                *self.webhooks.families,
                *self.access.families,
                Looked(_DEPRECATED, lambda: [(key, 1) for key in sorted(self._deprecated)]),
                Looked(_BUILD, lambda: [(_build(), 1)]),
                *process_metrics.families(),
            )
        )

    def begin(self, request: Request) -> Key:
        """A request is being answered; `end` takes what this gives."""
        kind = ("readOnly",) if request.method in ("GET", "HEAD") else ("mutating",)
        self._inflight.values[kind] += 1
        return kind

    def end(self, kind: Key) -> None:
        """The request of `begin` was answered."""
        self._inflight.values[kind] -= 1

    def request(self, info: RequestInfo, request: Request, response: Response, seconds: float) -> None:
        """Count one answered request. A watch's duration is no latency and is left out."""
        status, body = response.status, response.body
        row = self.row(info, request, status)
        if row.verb == "WATCH" or response.upgrade is not None:
            row.codes[status] = row.codes.get(status, 0) + 1
            return
        row.count(status, len(body) if isinstance(body, bytes) else None, seconds)
        if request.warnings and info.is_resource:
            self._note_deprecation(info, request)

    def row(self, info: RequestInfo, request: Request, status: int) -> Row:
        """Where a kind of request is counted."""
        key = _key(info, request, status)
        return self._rows.get(key) or self._row(key)

    def _row(self, key: Key) -> Row:
        """The histograms show the same lists."""
        seconds = self._durations.row(key) if key[0] != "WATCH" else []
        reads = key[0] in ("GET", "LIST")
        row = self._rows[key] = Row(key[0], {}, seconds, self._sizes.row(key[:7]) if reads else None)
        return row

    def _note_deprecation(self, info: RequestInfo, request: Request) -> None:
        if any(" is deprecated in v" in each for each in request.warnings):
            self._deprecated.add((info.group, info.resource, info.subresource, info.version, ""))


@dataclass(slots=True)
class Row:
    """One kind of request: how many by code, how long they took, how long their answers were."""

    verb: str
    codes: dict[int, int]
    seconds: list[float]
    sizes: list[float] | None

    def count(self, status: int, size: int | None, seconds: float) -> None:
        """Count one answer; `size` (bytes) where it is known."""
        self.codes[status] = self.codes.get(status, 0) + 1
        times, sizes = self.seconds, self.sizes
        times[bisect_left(_LATENCIES, seconds)] += 1
        times[-1] += seconds
        if sizes is not None and size is not None:
            sizes[bisect_left(_SIZES, size)] += 1
            sizes[-1] += size


class _Requests:
    """`apiserver_request_total`."""

    def __init__(self, rows: dict[Key, Row]) -> None:
        self._rows = rows

    def lines(self) -> Iterator[str]:
        """As `Family`."""
        counted = ((key, code, count) for key, row in self._rows.items() for code, count in row.codes.items())
        yield from Counter(_TOTAL, {(*key, str(code)): count for key, code, count in counted}).lines()


def look_at(metrics: Metrics, served: ServedResources, health: Health, flows: FlowControl) -> None:
    """Show what is kept of each resource, which health checks hold, and how flows fare."""
    metrics.registry.add(
        *metrics.flows.families(flows.levels, flows.tallies),
        Looked(_OBJECTS, lambda: _stored(served, grouped=False)),
        Looked(_RESOURCE_OBJECTS, lambda: _stored(served, grouped=True)),
        checks(health),
    )


def checks(health: Health) -> Looked:
    """The result of each health check, as `/metrics/slis` shows it too."""
    return Looked(_CHECK, lambda: [((name, kind), float(well)) for kind, name, well in health.results()])


def _stored(served: ServedResources, *, grouped: bool) -> Iterator[Sample]:
    seen = set()
    for scope in served:
        collection = scope.collection
        if collection is None or collection.prefix in seen:
            continue
        seen.add(collection.prefix)
        stored = collection.resource
        full = f"{stored.plural}.{stored.group}" if stored.group else stored.plural
        yield (stored.group, stored.plural) if grouped else (full,), len(collection.entries)


def _key(info: RequestInfo, request: Request, status: int) -> Key:
    """The labels of a request. What nobody serves has none: clients must not make up labels."""
    verb = info.verb
    if not info.is_resource:
        path = info.path if info.path.startswith(_HEALTH) and status < 400 else ""
        method = verb.upper()
        return (method if method in _METHODS else "other", "", "", "", path, "", "apiserver", "")
    if request.resource is None and status >= 400:
        return (_VERBS.get(verb, "other"), "", "", "", "", "", "apiserver", "")
    shown = _shown_verb(verb, info, request)
    asked = request.query_lists.get("dryRun")
    dry = ",".join(sorted(set(asked))) if asked and status < 400 else ""
    return (shown, info.group, info.version, info.resource, info.subresource, scope_of(info), "apiserver", dry)


def _shown_verb(verb: str, info: RequestInfo, request: Request) -> str:
    if info.subresource in _CONNECTING:
        return "CONNECT"
    if verb == "patch" and "apply-patch" in request.headers.get("content-type", ""):
        return "APPLY"
    return _VERBS.get(verb, "other")


def scope_of(info: RequestInfo) -> str:
    """Whether one object, a namespace's or all of them are meant."""
    if info.name or info.verb == "create":
        return "resource"
    return "namespace" if info.namespace else "cluster"


def _build() -> Key:
    told = version_info()
    return tuple(str(told[name]) for name in ("major", "minor", "gitVersion", "gitCommit", "compiler", "platform"))


_TOTAL = About(
    "apiserver_request_total",
    "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, "
    "component, and HTTP response code.",
    (*_REQUEST, "code"),
    STABLE,
)
_DEPRECATED = About(
    "apiserver_requested_deprecated_apis",
    "Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and "
    "removed_release.",
    ("group", "resource", "subresource", "version", "removed_release"),
    STABLE,
)
_BUILD = About(
    "kubernetes_build_info",
    "A metric with a constant '1' value labeled by major, minor, git version, git commit, compiler, and platform.",
    ("major", "minor", "git_version", "git_commit", "compiler", "platform"),
)
_OBJECTS = About(
    "apiserver_storage_objects",
    "Number of stored objects at the time of last check split by kind.",
    ("resource",),
    STABLE,
)
_RESOURCE_OBJECTS = About(
    "apiserver_resource_objects",
    "Number of stored objects at the time of last check split by kind.",
    ("group", "resource"),
)
_CHECK = About(
    "kubernetes_healthcheck", "This metric records the result of a single healthcheck.", ("name", "type"), STABLE
)
