"""A pod's sandbox in the runtime's terms. Input: pod, node, attempt. Output: a CRI `PodSandboxConfig`."""

from __future__ import annotations

from typing import Any

from knarr.api.semantics.qos import qos_class
from knarr.apimachinery.types import Object
from knarr.cri.messages import PROTOCOLS
from knarr.kubelet import pod_names
from knarr.kubelet.dns_config import dns_config
from knarr.kubelet.node_config import NodeConfig
from knarr.kubelet.security_context import sandbox_security


class SandboxFault(ValueError):
    """Why a pod's sandbox cannot be made."""


def sandbox_config(pod: Object, node: NodeConfig, attempt: int) -> dict[str, Any]:
    """The configuration. Raises `HostnameTooLong` and `SandboxFault`."""
    meta, spec = pod["metadata"], pod["spec"]
    if spec.get("hostUsers") is False:
        # The runtime would give it the node's users without a word.
        raise SandboxFault("can't set `spec.hostUsers: false`, runtime does not support user namespaces")
    security = sandbox_security(pod)
    linux: dict[str, Any] = {"cgroup_parent": f"/{pod_group(pod, node.cgroup_root)}", "security_context": security}
    if sysctls := (spec.get("securityContext") or {}).get("sysctls"):
        linux["sysctls"] = {each["name"]: each.get("value", "") for each in sysctls}
    return {
        "metadata": {"name": meta["name"], "uid": meta["uid"], "namespace": meta["namespace"], "attempt": attempt},
        # With the node's network comes the node's name; the runtime knows it.
        "hostname": "" if spec.get("hostNetwork") else pod_names.hostname(pod, node.cluster_domain),
        "log_directory": str(node.logs / pod_names.log_folder(pod)),
        "dns_config": dns_config(pod, node),
        "port_mappings": [] if spec.get("hostNetwork") else _port_mappings(spec),
        "labels": {**(meta.get("labels") or {}), **pod_names.labels(pod)},
        "annotations": {**(meta.get("annotations") or {}), "kubernetes.io/config.source": "api"},
        "linux": linux,
    }


def pod_group(pod: Object, root: str) -> str:
    """The pod's control group, without a slash at its beginning."""
    return pod_group_of(root, qos_class(pod["spec"]), str(pod["metadata"]["uid"]))


def pod_group_of(root: str, qos: str, uid: str) -> str:
    """The control group of a pod by its class."""
    parts = [root, "kubepods", "" if qos == "Guaranteed" else qos.lower(), f"pod{uid}"]
    return "/".join(part for part in parts if part)


def _port_mappings(spec: Object) -> list[dict[str, Any]]:
    sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    return [
        {
            "protocol": PROTOCOLS[port.get("protocol") or "TCP"],
            "container_port": port["containerPort"],
            "host_port": port["hostPort"],
            "host_ip": port.get("hostIP") or "",
        }
        for container in (*spec["containers"], *sidecars)
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]
