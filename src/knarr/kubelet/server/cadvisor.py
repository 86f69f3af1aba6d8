"""The text of `/metrics/cadvisor`: containers, pods' networks and the machine, under cAdvisor's names.

Input: usages, control groups, interfaces. Output: metric families with their samples.
https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from knarr.kubelet.kernel_figures import FileSystem, Group, Interface
from knarr.kubelet.server.usage import Usage

Labels = Mapping[str, str]
Row = tuple[Labels, float, int | None]


@dataclass(frozen=True, slots=True)
class Container:
    """One container: its use, its group and that group's path below the top."""

    usage: Usage
    group: Group
    path: str
    image: str = ""
    #: Seconds since 1970; 0 when it is not known.
    started: float = 0.0

    @property
    def labels(self) -> Labels:
        """The labels of its samples."""
        use = self.usage
        return {
            "container": use.container,
            "id": f"/{self.path}",
            "image": self.image,
            "name": use.id,
            "namespace": use.namespace,
            "pod": use.pod,
        }


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """The interfaces of a pod, counted by the sandbox."""

    namespace: str
    pod: str
    path: str
    interfaces: Sequence[Interface]


@dataclass(frozen=True, slots=True)
class Machine:
    """The node itself."""

    cores: int
    memory: int
    swap: int
    machine_id: str
    system_uuid: str
    boot_id: str
    file_system: FileSystem
    interfaces: Sequence[Interface] = field(default_factory=tuple)


def render(containers: Sequence[Container], pods: Sequence[PodNetwork], machine: Machine) -> str:
    """The whole text."""
    lines = [
        *(line for family in _FAMILIES for line in family.lines(containers)),
        *_root(machine),
        *(line for family in _NETWORK for line in _network(family, pods, machine)),
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Family:
    """A metric of containers. `of` gives None where a container has no such figure."""

    name: str
    kind: str
    text: str
    of: Callable[[Container], float | None]
    extra: Mapping[str, str] = field(default_factory=dict)

    def lines(self, containers: Iterable[Container]) -> Iterator[str]:
        rows: list[Row] = []
        for each in containers:
            value = self.of(each)
            if value is not None:
                rows.append(({**each.labels, **self.extra}, value, each.usage.time))
        yield from _metric(self.name, self.kind, self.text, rows)


def _limit(each: Container) -> float:
    return each.group.memory_limit or 0


def _if_limited(figure: Callable[[Group], float]) -> Callable[[Container], float | None]:
    """Figures of a CPU quota, for those that have one."""
    return lambda each: figure(each.group) if each.group.quota is not None else None


_FAMILIES: tuple[_Family, ...] = (
    _Family(
        "container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.",
        lambda each: each.usage.cpu / 1e9, {"cpu": "total"},
    ),
    _Family(
        "container_cpu_user_seconds_total", "counter", "Cumulative user cpu time consumed in seconds.",
        lambda each: each.group.user,
    ),
    _Family(
        "container_cpu_system_seconds_total", "counter", "Cumulative system cpu time consumed in seconds.",
        lambda each: each.group.system,
    ),
    _Family(
        "container_cpu_cfs_periods_total", "counter", "Number of elapsed enforcement period intervals.",
        _if_limited(attrgetter("periods")),
    ),
    _Family(
        "container_cpu_cfs_throttled_periods_total", "counter", "Number of throttled period intervals.",
        _if_limited(attrgetter("throttled_periods")),
    ),
    _Family(
        "container_cpu_cfs_throttled_seconds_total", "counter",
        "Total time duration the container has been throttled.", _if_limited(attrgetter("throttled")),
    ),
    _Family(
        "container_memory_usage_bytes", "gauge",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
        lambda each: each.usage.used_memory,
    ),
    _Family(
        "container_memory_working_set_bytes", "gauge", "Current working set in bytes.",
        lambda each: each.usage.memory,
    ),
    _Family("container_memory_rss", "gauge", "Size of RSS in bytes.", lambda each: each.usage.rss),
    _Family(
        "container_memory_cache", "gauge", "Number of bytes of page cache memory.", lambda each: each.group.cache
    ),
    _Family(
        "container_memory_failures_total", "counter", "Cumulative count of memory allocation failures.",
        lambda each: each.usage.page_faults, {"failure_type": "pgfault", "scope": "container"},
    ),
    _Family("container_oom_events_total", "counter", "Count of out of memory events observed for the container",
            lambda each: each.group.oom_kills),
    _Family(
        "container_fs_usage_bytes", "gauge", "Number of bytes that are consumed by the container on this filesystem.",
        lambda each: each.usage.disk, {"device": ""},
    ),
    _Family("container_processes", "gauge", "Number of processes running inside the container.",
            lambda each: each.group.processes),
    _Family("container_last_seen", "gauge", "Last time a container was seen by the exporter",
            lambda each: each.usage.time // 1_000_000_000),
    _Family(
        "container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds.",
        lambda each: each.started or None,
    ),
    _Family("container_spec_cpu_period", "gauge", "CPU period of the container.", lambda each: each.group.period),
    _Family("container_spec_cpu_quota", "gauge", "CPU quota of the container.", _if_limited(lambda it: it.quota or 0)),
    _Family("container_spec_cpu_shares", "gauge", "CPU share of the container.", lambda each: each.group.shares),
    _Family(
        "container_spec_memory_limit_bytes", "gauge", "Memory limit for the container.", _limit
    ),
)  # fmt: skip

_NETWORK: tuple[tuple[str, str, Callable[[Interface], float]], ...] = (
    ("receive_bytes", "Cumulative count of bytes received", attrgetter("received_bytes")),
    ("receive_packets", "Cumulative count of packets received", attrgetter("received_packets")),
    ("receive_errors", "Cumulative count of errors encountered while receiving", attrgetter("received_errors")),
    ("receive_packets_dropped", "Cumulative count of packets dropped while receiving", attrgetter("received_dropped")),
    ("transmit_bytes", "Cumulative count of bytes transmitted", attrgetter("sent_bytes")),
    ("transmit_packets", "Cumulative count of packets transmitted", attrgetter("sent_packets")),
    ("transmit_errors", "Cumulative count of errors encountered while transmitting", attrgetter("sent_errors")),
    ("transmit_packets_dropped", "Cumulative count of packets dropped while transmitting", attrgetter("sent_dropped")),
)
_ROOT = {"container": "", "id": "/", "image": "", "name": "", "namespace": "", "pod": ""}


def _network(
    family: tuple[str, str, Callable[[Interface], float]], pods: Sequence[PodNetwork], machine: Machine
) -> Iterator[str]:
    name, text, of = family
    rows: list[Row] = [({**_ROOT, "interface": each.name}, of(each), None) for each in machine.interfaces]
    for pod in pods:
        labels = {**_ROOT, "id": f"/{pod.path}", "namespace": pod.namespace, "pod": pod.pod}
        rows += [({**labels, "interface": each.name}, of(each), None) for each in pod.interfaces]
    yield from _metric(f"container_network_{name}_total", "counter", text, rows)


def _root(machine: Machine) -> Iterator[str]:
    """What cAdvisor tells of the node's own group, and of the machine."""
    disk = machine.file_system
    single: tuple[tuple[str, str, str, Labels, float], ...] = (
        ("machine_cpu_cores", "gauge", "Number of logical CPU cores.", _ids(machine), machine.cores),
        ("machine_memory_bytes", "gauge", "Amount of memory installed on the machine.", _ids(machine), machine.memory),
        ("machine_swap_bytes", "gauge", "Amount of swap memory available on the machine.", _ids(machine), machine.swap),
        ("container_fs_limit_bytes", "gauge", "Number of bytes that can be consumed by the container on this "
         "filesystem.", {**_ROOT, "device": ""}, disk.capacity),
    )  # fmt: skip
    for name, kind, text, labels, value in single:
        yield from _metric(name, kind, text, [(labels, value, None)])


def _ids(machine: Machine) -> Labels:
    return {"boot_id": machine.boot_id, "machine_id": machine.machine_id, "system_uuid": machine.system_uuid}


def _metric(name: str, kind: str, text: str, rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value, time in rows:
        shown = ",".join(f'{key}="{_escaped(each)}"' for key, each in labels.items())
        stamp = f" {time // 1_000_000}" if time is not None else ""
        yield f"{name}{{{shown}}} {value:.12g}{stamp}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
