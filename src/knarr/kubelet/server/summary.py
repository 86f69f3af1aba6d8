"""The document of `/stats/summary`.

Input: usages, what the kernel counts, pods. Output: the `Summary`. Bytes, nanoseconds of one core.
Source: k8s.io/kubelet/pkg/apis/stats/v1alpha1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.kubelet.kernel_figures import FileSystem, Interface
from knarr.kubelet.server.usage import NodeUsage, Usage, started_at

#: The interface that stands for a pod's, or for the node's, network.
_DEFAULT_INTERFACE = "eth0"


@dataclass(frozen=True, slots=True)
class VolumeUse:
    """What a volume takes, and the file system it lies on."""

    name: str
    used: int
    file_system: FileSystem


@dataclass(frozen=True, slots=True)
class PodFigures:
    """What the kernel counts of one pod."""

    interfaces: Sequence[Interface] = ()
    processes: int = 0
    volumes: Sequence[VolumeUse] = ()
    #: Bytes of the pod's logs by container name.
    logs: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """What the kernel counts of the machine. `image_bytes` is what images take."""

    name: str
    started: int
    interfaces: Sequence[Interface]
    file_system: FileSystem
    image_file_system: FileSystem
    image_bytes: int
    most_processes: int
    processes: int


def summary(
    node: NodeUsage,
    figures: NodeFigures,
    usages: Sequence[Usage],
    pods: Iterable[Object],
    of_pod: Mapping[str, PodFigures],
) -> Object:
    """The `Summary`. Pods without running containers are left out; `of_pod` is by uid."""
    by_uid: dict[str, list[Usage]] = {}
    for usage in usages:
        by_uid.setdefault(usage.uid, []).append(usage)
    reports = [
        _pod(pod, by_uid[uid], of_pod.get(uid, PodFigures()), figures.file_system)
        for pod in pods
        if (uid := pod["metadata"]["uid"]) in by_uid
    ]
    return {"node": _node(node, figures), "pods": reports}


def _node(node: NodeUsage, figures: NodeFigures) -> Object:
    time = _time(node.time)
    return {
        "nodeName": figures.name,
        "startTime": _time(figures.started * 1_000_000_000),
        "cpu": _cpu(node.time, node.cpu, node.nano_cores),
        "memory": {
            "time": time,
            "availableBytes": node.available,
            "usageBytes": node.memory,
            "workingSetBytes": node.memory,
        },
        "network": _network(time, figures.interfaces),
        "fs": _file_system(time, figures.file_system, figures.file_system.used),
        "runtime": {
            "imageFs": _file_system(time, figures.image_file_system, figures.image_bytes),
            "containerFs": _file_system(time, figures.image_file_system, figures.image_bytes),
        },
        "rlimit": {"time": time, "maxpid": figures.most_processes, "curproc": figures.processes},
    }


def _pod(pod: Object, usages: Sequence[Usage], figures: PodFigures, disk: FileSystem) -> Object:
    meta = pod["metadata"]
    moment = max(usage.time for usage in usages)
    time = _time(moment)
    cores = [usage.nano_cores for usage in usages if usage.nano_cores is not None]
    report: Object = {
        "podRef": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
        "containers": [_container(usage, pod, figures, disk) for usage in usages],
        "cpu": _cpu(moment, sum(usage.cpu for usage in usages), sum(cores) if len(cores) == len(usages) else None),
        "memory": {
            "time": time,
            "usageBytes": sum(usage.used_memory for usage in usages),
            "workingSetBytes": sum(usage.memory for usage in usages),
            "rssBytes": sum(usage.rss for usage in usages),
            "pageFaults": sum(usage.page_faults for usage in usages),
            "majorPageFaults": sum(usage.major_page_faults for usage in usages),
        },
        "volume": [{**_file_system(time, each.file_system, each.used), "name": each.name} for each in figures.volumes],
        "ephemeral-storage": _file_system(time, disk, _ephemeral(usages, figures)),
        "process_stats": {"process_count": figures.processes},
    }
    if figures.interfaces:
        report["network"] = _network(time, figures.interfaces)
    if started := (pod.get("status") or {}).get("startTime"):
        report["startTime"] = started
    return report


def _ephemeral(usages: Sequence[Usage], figures: PodFigures) -> int:
    volumes = sum(each.used for each in figures.volumes)
    return volumes + sum(usage.disk for usage in usages) + sum(figures.logs.values())


def _container(usage: Usage, pod: Object, figures: PodFigures, disk: FileSystem) -> Object:
    time = _time(usage.time)
    report: Object = {
        "name": usage.container,
        "cpu": _cpu(usage.time, usage.cpu, usage.nano_cores),
        "memory": {
            "time": time,
            "usageBytes": usage.used_memory,
            "workingSetBytes": usage.memory,
            "rssBytes": usage.rss,
            "pageFaults": usage.page_faults,
            "majorPageFaults": usage.major_page_faults,
        },
        "rootfs": {**_file_system(time, disk, usage.disk), "inodesUsed": usage.inodes},
        "logs": _file_system(time, disk, figures.logs.get(usage.container, 0)),
    }
    if started := started_at(pod, usage.container):
        report["startTime"] = started
    return report


def _file_system(time: str, disk: FileSystem, used: int) -> Object:
    return {
        "time": time,
        "availableBytes": disk.available,
        "capacityBytes": disk.capacity,
        "usedBytes": used,
        "inodesFree": disk.inodes_free,
        "inodes": disk.inodes,
        "inodesUsed": disk.inodes - disk.inodes_free,
    }


def _network(time: str, interfaces: Sequence[Interface]) -> Object:
    shown = [_interface(each) for each in interfaces]
    chosen = next((each for each in shown if each["name"] == _DEFAULT_INTERFACE), shown[0] if shown else {})
    return {"time": time, **chosen, "interfaces": shown}


def _interface(each: Interface) -> Object:
    return {
        "name": each.name,
        "rxBytes": each.received_bytes,
        "rxErrors": each.received_errors,
        "txBytes": each.sent_bytes,
        "txErrors": each.sent_errors,
    }


def _cpu(time: int, used: int, cores: int | None) -> Object:
    report: Object = {"time": _time(time), "usageCoreNanoSeconds": used}
    if cores is not None:
        report["usageNanoCores"] = cores
    return report


def _time(nanoseconds: int) -> str:
    return timestamps.seconds(datetime.fromtimestamp(nanoseconds / 1e9, UTC))
