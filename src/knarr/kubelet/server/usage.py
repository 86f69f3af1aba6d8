"""What containers, pods and the node use: the figures behind `/stats/summary` and all `/metrics/…`.

Input: CRI `ContainerStats`, pods, `/proc` texts, earlier figures. Output: usages, and the text of `/metrics/resource`.
Cores are in nanoseconds of one core, memory in bytes. Source: k8s.io/kubelet/pkg/apis/stats/v1alpha1, KEP-1748.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from knarr.apimachinery.types import Object
from knarr.wire.messages import Message

_NAMESPACE, _POD, _UID = "io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.pod.uid"
_CONTAINER = "io.kubernetes.container.name"


@dataclass(frozen=True, slots=True)
class Usage:
    """One container's use at `time` (nanoseconds since 1970). `nano_cores` is None until two looks tell it."""

    namespace: str
    pod: str
    uid: str
    container: str
    id: str
    time: int
    cpu: int
    memory: int
    nano_cores: int | None = None
    used_memory: int = 0
    rss: int = 0
    page_faults: int = 0
    major_page_faults: int = 0
    disk: int = 0
    inodes: int = 0


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """The node's use."""

    time: int
    cpu: int
    memory: int
    available: int
    nano_cores: int | None = None


def of(stats: Message, before: Mapping[str, Usage]) -> Usage | None:
    """A container's use; None for one without figures (not running). `before` has earlier looks by container id."""
    attributes, cpu, memory = stats.get("attributes") or {}, stats.get("cpu") or {}, stats.get("memory") or {}
    labels = attributes.get("labels") or {}
    if "usage_core_nano_seconds" not in cpu or "working_set_bytes" not in memory:
        return None
    layer = stats.get("writable_layer") or {}
    time, used = cpu["timestamp"], _value(cpu, "usage_core_nano_seconds")
    last = before.get(attributes["id"])
    return Usage(
        namespace=labels.get(_NAMESPACE, ""),
        pod=labels.get(_POD, ""),
        uid=labels.get(_UID, ""),
        container=labels.get(_CONTAINER, ""),
        id=attributes["id"],
        time=time,
        cpu=used,
        memory=_value(memory, "working_set_bytes"),
        nano_cores=rate(used, time, last.cpu, last.time, last.nano_cores) if last is not None else None,
        used_memory=_value(memory, "usage_bytes"),
        rss=_value(memory, "rss_bytes"),
        page_faults=_value(memory, "page_faults"),
        major_page_faults=_value(memory, "major_page_faults"),
        disk=_value(layer, "used_bytes"),
        inodes=_value(layer, "inodes_used"),
    )


def rate(used: int, time: int, used_before: int, time_before: int, known: int | None) -> int | None:
    """Cores in use between two looks, in billionths; what was known before when no time has passed."""
    if time <= time_before:
        return known
    return max(0, (used - used_before) * 1_000_000_000 // (time - time_before))


def of_node(stat: str, meminfo: str, ticks: int, time: int, before: NodeUsage | None) -> NodeUsage:
    """The node's use from the texts of `/proc/stat` and `/proc/meminfo`. `ticks` is the clock ticks in a second."""
    fields = [int(part) for part in stat.splitlines()[0].split()[1:9]]
    busy = sum(fields) - fields[3] - fields[4]
    used = busy * 1_000_000_000 // ticks
    memory = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in meminfo.splitlines() if ":" in line}
    available = memory.get("MemAvailable", memory["MemFree"])
    cores = rate(used, time, before.cpu, before.time, before.nano_cores) if before is not None else None
    return NodeUsage(time, used, memory["MemTotal"] - available, available, cores)


def started_at(pod: Object, container: str) -> str:
    """When a container that runs was started; empty for one that does not."""
    status = pod.get("status") or {}
    for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for one in status.get(kind) or ():
            if one["name"] == container:
                return str(((one.get("state") or {}).get("running") or {}).get("startedAt") or "")
    return ""


def resource_metrics(node: NodeUsage, usages: Sequence[Usage], starts: Mapping[str, float]) -> str:
    """The text of `/metrics/resource`. `starts` has seconds since 1970 by container id."""
    pods: dict[tuple[str, str], list[Usage]] = {}
    for usage in usages:
        pods.setdefault((usage.namespace, usage.pod), []).append(usage)
    lines = [
        *_metric(
            "container_cpu_usage_seconds_total",
            "counter",
            "Cumulative cpu time consumed by the container in core-seconds",
            [(_labels(one), one.cpu / 1e9, one.time) for one in usages],
        ),
        *_metric(
            "container_memory_working_set_bytes",
            "gauge",
            "Current working set of the container in bytes",
            [(_labels(one), one.memory, one.time) for one in usages],
        ),
        *_metric(
            "container_start_time_seconds",
            "gauge",
            "Start time of the container since unix epoch in seconds",
            [(_labels(one), starts[one.id], None) for one in usages if one.id in starts],
        ),
        *_metric(
            "node_cpu_usage_seconds_total",
            "counter",
            "Cumulative cpu time consumed by the node in core-seconds",
            [("", node.cpu / 1e9, node.time)],
        ),
        *_metric(
            "node_memory_working_set_bytes",
            "gauge",
            "Current working set of the node in bytes",
            [("", node.memory, node.time)],
        ),
        *_metric(
            "pod_cpu_usage_seconds_total",
            "counter",
            "Cumulative cpu time consumed by the pod in core-seconds",
            [
                (_pod_labels(key), sum(one.cpu for one in all_) / 1e9, max(one.time for one in all_))
                for key, all_ in pods.items()
            ],
        ),
        *_metric(
            "pod_memory_working_set_bytes",
            "gauge",
            "Current working set of the pod in bytes",
            [
                (_pod_labels(key), sum(one.memory for one in all_), max(one.time for one in all_))
                for key, all_ in pods.items()
            ],
        ),
        *_metric(
            "resource_scrape_error",
            "gauge",
            "1 if there was an error while getting container metrics, 0 otherwise",
            [("", 0, None)],
        ),
    ]
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, text: str, samples: Sequence[tuple[str, float, int | None]]) -> Iterable[str]:
    if not samples:
        return
    yield f"# HELP {name} [STABLE] {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value, time in samples:
        stamp = f" {time // 1_000_000}" if time is not None else ""
        # As Go writes numbers: all digits that count, and no fraction where there is none.
        yield f"{name}{labels} {int(value) if value == int(value) else value!r}{stamp}"


def _labels(usage: Usage) -> str:
    return f'{{container="{usage.container}",namespace="{usage.namespace}",pod="{usage.pod}"}}'


def _pod_labels(key: tuple[str, str]) -> str:
    return f'{{namespace="{key[0]}",pod="{key[1]}"}}'


def _value(message: Message, name: str) -> int:
    return int((message.get(name) or {}).get("value", 0))
