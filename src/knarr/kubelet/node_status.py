"""The Node object of this node.

Input: configuration, facts, pressure, the runtime's conditions, images, the status before. Output: `Node` and
`NodeStatus`. https://kubernetes.io/docs/reference/node/node-status/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.kubelet.node_config import NodeConfig
from knarr.kubelet.node_facts import NodeFacts, Pressure
from knarr.wire.messages import Message

VERSION = "v1.36.2+knarr1"
#: Kept free for the node itself: the hard threshold of eviction.
_RESERVED_MEMORY = 100 << 20
_MOST_IMAGES = 50
_TIMES = ("lastHeartbeatTime", "lastTransitionTime")


@dataclass(frozen=True, slots=True)
class Observed:
    """What changes while the node runs. `unready` says why it is not Ready; empty when it is."""

    pressure: Pressure = field(default_factory=Pressure)
    unready: str = ""
    images: Sequence[Message] = ()
    runtime_version: str = ""


def new_node(node: NodeConfig, facts: NodeFacts) -> Object:
    """The Node as it is registered, without status."""
    labels = {
        "beta.kubernetes.io/arch": facts.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": facts.architecture,
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        **node.labels,
    }
    metadata = {
        "name": node.name,
        "labels": labels,
        "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
    }
    spec: Object = {"taints": [dict(taint) for taint in node.taints]} if node.taints else {}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}


def unready_reason(conditions: Mapping[str, Message]) -> str:
    """Why the runtime cannot run pods; empty when it can. `conditions` are those of the runtime by type."""
    problems = []
    for kind, words in (("NetworkReady", "container runtime network not ready"), ("RuntimeReady", "container runtime")):
        condition = conditions.get(kind) or {"status": False, "reason": "", "message": "not reported"}
        if not condition["status"]:
            problems.append(
                f"{words}: {kind}=false reason:{condition.get('reason', '')} message:{condition.get('message', '')}"
            )
    return ", ".join(problems)


def allocatable(facts: NodeFacts, max_pods: int) -> dict[str, str]:
    """What pods may request."""
    return {
        "cpu": str(facts.cpus),
        "ephemeral-storage": str(facts.disk * 9 // 10),
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": f"{max(facts.memory - _RESERVED_MEMORY, 0) // 1024}Ki",
        "pods": str(max_pods),
    }


def node_status(node: NodeConfig, facts: NodeFacts, observed: Observed, before: Object, now: datetime) -> Object:
    """The whole status. Conditions keep the time of their last change."""
    capacity = {
        **allocatable(facts, node.max_pods),
        "ephemeral-storage": f"{facts.disk // 1024}Ki",
        "memory": f"{facts.memory // 1024}Ki",
    }
    addresses = [{"type": "InternalIP", "address": ip} for ip in node.host_ips]
    return {
        "capacity": capacity,
        "allocatable": allocatable(facts, node.max_pods),
        "conditions": _conditions(observed, before.get("conditions") or (), now),
        "addresses": [*addresses, {"type": "Hostname", "address": node.name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": node.port}},
        "nodeInfo": _info(facts, observed.runtime_version),
        "images": _images(observed.images),
    }


def _info(facts: NodeFacts, runtime_version: str) -> Object:
    return {
        "machineID": facts.machine_id,
        "systemUUID": facts.system_uuid,
        "bootID": facts.boot_id,
        "kernelVersion": facts.kernel,
        "osImage": facts.os_image,
        "containerRuntimeVersion": runtime_version,
        "kubeletVersion": VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": facts.architecture,
        "swap": {"capacity": facts.swap},
    }


def _images(images: Iterable[Message]) -> list[Object]:
    """The largest ones, by size."""
    listed: list[Object] = [
        {"names": names, "sizeBytes": int(image["size"])}
        for image in images
        if (names := [*(image.get("repo_digests") or ()), *(image.get("repo_tags") or ())])
    ]
    return sorted(listed, key=lambda each: (-each["sizeBytes"], each["names"]))[:_MOST_IMAGES]


def _conditions(observed: Observed, before: Iterable[Object], now: datetime) -> list[Object]:
    pressure = observed.pressure
    made = [
        _pressure("MemoryPressure", pressure.memory, "InsufficientMemory", "SufficientMemory", "memory available"),
        _pressure("DiskPressure", pressure.disk, "DiskPressure", "NoDiskPressure", ""),
        _pressure("PIDPressure", pressure.pids, "InsufficientPID", "SufficientPID", "PID available"),
        _ready(observed.unready),
    ]
    known = {each["type"]: each for each in before}
    stamp = timestamps.seconds(now)
    return [{**each, "lastHeartbeatTime": stamp, "lastTransitionTime": _since(each, known, stamp)} for each in made]


def _since(condition: Object, known: Mapping[str, Object], stamp: str) -> str:
    old = known.get(condition["type"])
    same = old is not None and old.get("status") == condition["status"]
    return str((old or {}).get("lastTransitionTime") or stamp) if same else stamp


def _pressure(kind: str, bad: bool, worse: str, better: str, what: str) -> Object:  # noqa: FBT001 - a table's column
    reason = f"KubeletHas{worse if bad else better}"
    if what:
        message = f"kubelet has {'insufficient' if bad else 'sufficient'} {what}"
    else:
        message = "kubelet has disk pressure" if bad else "kubelet has no disk pressure"
    return {"type": kind, "status": "True" if bad else "False", "reason": reason, "message": message}


def _ready(unready: str) -> Object:
    if unready:
        return {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": unready}
    return {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "kubelet is posting ready status",
    }


def same(one: Object, other: Object) -> bool:
    """Whether two statuses differ in nothing but their heartbeats."""
    keys = ("capacity", "allocatable", "addresses", "daemonEndpoints", "nodeInfo", "images")
    return all(one.get(key) == other.get(key) for key in keys) and _timeless(one) == _timeless(other)


def _timeless(status: Object) -> list[dict[str, Any]]:
    return [{key: value for key, value in each.items() if key not in _TIMES} for each in status.get("conditions") or ()]


def status_patch(new: Object, old: Object) -> Object:
    """The strategic merge patch of a status: addresses are replaced as a whole."""
    changed = {key: value for key, value in new.items() if key == "conditions" or old.get(key) != value}
    if "addresses" in changed and old.get("addresses"):
        changed["addresses"] = [{"$patch": "replace"}, *new["addresses"]]
    return {"status": changed}
