"""The kubelet's metrics: `/metrics` and `/metrics/probes`.

https://kubernetes.io/docs/reference/instrumentation/metrics/
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

import knarr
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import BETA, About, Counter, Family, Histogram, Looked, Registry, Sample

_STATES = {"running": "running", "terminated": "exited", "waiting": "created"}
_LISTS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
_OPERATION = ("operation_type",)
_CALLS = tuple(0.005 * 2.5**power for power in range(14))
_KINDS = {
    "containers": "container",
    "initContainers": "init_container",
    "ephemeralContainers": "ephemeral_container",
}
_HTTP = ("method", "path", "server_type", "long_running")
_PROBE = ("probe_type", "result", "container", "pod", "namespace", "pod_uid")
_STARTS = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 600, 900, 1200, 1800, 2700, 3600)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
#: Paths that stay open for as long as somebody listens.
_LONG = frozenset({"exec", "attach", "portForward", "containerLogs", "run"})


class RuntimeMetrics:
    """The counters of calls."""

    def __init__(self) -> None:
        self.total = Counter(
            About(
                "kubelet_runtime_operations_total",
                "Cumulative number of runtime operations by operation type.",
                _OPERATION,
            )
        )
        self.errors = Counter(
            About(
                "kubelet_runtime_operations_errors_total",
                "Cumulative number of runtime operation errors by operation type.",
                _OPERATION,
            )
        )
        self.latency = Histogram(
            About(
                "kubelet_runtime_operations_duration_seconds",
                "Duration in seconds of runtime operations. Broken down by operation type.",
                _OPERATION,
            ),
            _CALLS,
        )

    def families(self) -> list[Family]:
        """What `/metrics` shows."""
        return [self.total, self.latency, self.errors]


class PodMetrics:
    """What is counted while pods run."""

    def __init__(self) -> None:
        self.started = Counter(
            About("kubelet_started_containers_total", "Cumulative number of containers started", ("container_type",))
        )
        self.starts = Histogram(
            About(
                "kubelet_pod_start_duration_seconds",
                "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
            ),
            _STARTS,
        )
        self.starts_since_creation = Histogram(
            About(
                "kubelet_pod_start_total_duration_seconds",
                "Duration in seconds to start a pod since creation, including time to pull images and run init "
                "containers, measured from pod creation timestamp to when it is reported as running",
            ),
            _STARTS,
        )
        self.probes = Counter(
            About(
                "prober_probe_total",
                "Cumulative number of a liveness, readiness or startup probe for a container by result.",
                _PROBE,
                BETA,
            )
        )
        self.probe_latency = Histogram(
            About(
                "prober_probe_duration_seconds",
                "Duration in seconds for a probe response.",
                ("probe_type", "container", "pod", "namespace"),
            ),
            _SECONDS,
        )

    def pod_started(self, pod: Object, now: datetime, seconds: float) -> None:
        """A pod has begun to run, so many seconds after the kubelet has seen it first."""
        self.starts.observe(seconds)
        created = pod["metadata"].get("creationTimestamp")
        if created:
            self.starts_since_creation.observe((now - timestamps.parse(created)).total_seconds())

    def container_started(self, pod: Object, name: str) -> None:
        """A container of a pod was started."""
        for field, kind in _KINDS.items():
            if any(each["name"] == name for each in pod["spec"].get(field) or ()):
                self.started.add((kind,))

    def probed(self, pod: Object, container: str, kind: str, result: str, seconds: float) -> None:
        """A probe gave `successful`, `failed` or `unknown`."""
        meta = pod["metadata"]
        title = kind.capitalize()
        self.probes.add((title, result, container, meta["name"], meta["namespace"], meta["uid"]))
        self.probe_latency.observe(seconds, (title, container, meta["name"], meta["namespace"]))

    def forget(self, pod: Object) -> None:
        """The pod is gone: so are the counts of its probes."""
        meta = pod["metadata"]
        gone = (meta["name"], meta["namespace"])
        for key in [key for key in self.probes.values if key[5] == meta["uid"]]:
            del self.probes.values[key]
        for key in [key for key in self.probe_latency.values if key[2:] == gone]:
            del self.probe_latency.values[key]


class KubeletMetrics:
    """What a kubelet counts. `pods` gives its pods with their newest status."""

    def __init__(
        self, node_name: str, pods: Callable[[], Sequence[Object]], runtime: RuntimeMetrics, inside: PodMetrics
    ) -> None:
        self._pods = pods
        self._requests = Counter(
            About("kubelet_http_requests_total", "Number of the http requests received since the server started", _HTTP)
        )
        self._latency = Histogram(
            About("kubelet_http_requests_duration_seconds", "Duration in seconds to serve http requests", _HTTP),
            _SECONDS,
        )
        build = About(
            "kubernetes_build_info",
            "A metric with a constant '1' value labeled by major, minor, git version.",
            ("major", "minor", "git_version"),
        )
        self.registry = Registry(
            (
                Looked(
                    About("kubelet_node_name", "The node's name. The count is always 1.", ("node",)),
                    lambda: [((node_name,), 1)],
                ),
                Looked(_RUNNING_PODS, self._running_pods),
                Looked(_RUNNING_CONTAINERS, self._running_containers),
                Looked(_ACTIVE, lambda: [(("false",), sum(not _ended(pod) for pod in pods()))]),
                Looked(_DESIRED, lambda: [(("false",), len(pods()))]),
                inside.started,
                inside.starts,
                inside.starts_since_creation,
                *runtime.families(),
                self._requests,
                self._latency,
                Looked(build, lambda: [(_version(), 1)]),
            )
        )
        #: What `/metrics/probes` shows.
        self.probes = Registry([inside.probes, inside.probe_latency])

    def text(self) -> bytes:
        """The answer of `/metrics`."""
        return self.registry.text()

    def request(self, method: str, path: str, seconds: float) -> None:
        """A request was answered; of its path only the first part is a label."""
        first = path.strip("/").split("/")[0]
        key = (method, first, "readwrite", "true" if first in _LONG else "false")
        self._requests.add(key)
        self._latency.observe(seconds, key)

    def _running_pods(self) -> Iterator[Sample]:
        yield (), sum("running" in _states(pod.get("status") or {}) for pod in self._pods())

    def _running_containers(self) -> list[Sample]:
        states = Tally(state for pod in self._pods() for state in _states(pod.get("status") or {}))
        return [((state,), states[state]) for state in sorted(states)]


def _ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _states(status: Object) -> Iterable[str]:
    """The states of the containers that the runtime has."""
    for key in _LISTS:
        for each in status.get(key) or ():
            if each.get("containerID"):
                yield from (_STATES[state] for state in each.get("state") or () if state in _STATES)


def _version() -> tuple[str, str, str]:
    major, minor, *_ = knarr.KUBERNETES_VERSION.removeprefix("v").split(".")
    return major, minor, knarr.GIT_VERSION


_RUNNING_PODS = About("kubelet_running_pods", "Number of pods that have a running pod sandbox")
_RUNNING_CONTAINERS = About(
    "kubelet_running_containers", "Number of containers currently running", ("container_state",)
)
_ACTIVE = About(
    "kubelet_active_pods", "The number of pods the kubelet considers active and which are being admitted.", ("static",)
)
_DESIRED = About("kubelet_desired_pods", "The number of pods the kubelet is being instructed to run.", ("static",))
