"""A container in the runtime's terms.

Input: pod, container, and what was made ready for it (`Parts`). Output: a CRI `ContainerConfig`. Raises `ConfigFault`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from knarr.apimachinery.types import Object
from knarr.cri.messages import Propagation
from knarr.kubelet import pod_names
from knarr.kubelet.container_resources import container_resources
from knarr.kubelet.expansion import expand_all
from knarr.kubelet.node_config import NodeConfig
from knarr.kubelet.security_context import ConfigFault, container_security

_PROPAGATION = {
    "HostToContainer": Propagation.HOST_TO_CONTAINER,
    "Bidirectional": Propagation.BIDIRECTIONAL,
}
HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"


class BoundPath(NamedTuple):
    """What a `volumeMount` shows: a path on the host, and whether the volume itself may only be read."""

    path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """What a container is made from beside the pod's words.

    `image` is the runtime's image message, `paths` has one entry a `volumeMount`, `files` are further
    (container path, host path) pairs, `target` is the id of the container whose processes are to be seen.
    """

    attempt: int
    image_ref: str
    image: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    paths: Sequence[BoundPath] = ()
    files: Sequence[tuple[str, str]] = ()
    devices: Sequence[tuple[str, BoundPath]] = ()
    target: str = ""


def container_config(pod: Object, container: Object, parts: Parts, node: NodeConfig) -> dict[str, Any]:
    """The configuration."""
    environment = parts.environment
    security = container_security(pod, container, parts.image, node.root / "seccomp", parts.target)
    return {
        "metadata": {"name": container["name"], "attempt": parts.attempt},
        "image": {"image": parts.image_ref, "user_specified_image": container.get("image", "")},
        "command": expand_all(container.get("command"), environment),
        "args": expand_all(container.get("args"), environment),
        "working_dir": container.get("workingDir") or "",
        "envs": [{"key": key, "value": value} for key, value in environment.items()],
        "mounts": _mounts(container, parts),
        "devices": [
            {"container_path": path, "host_path": bound.path, "permissions": "r" if bound.read_only else "mrw"}
            for path, bound in parts.devices
        ],
        "labels": {pod_names.CONTAINER_NAME: container["name"], **pod_names.labels(pod)},
        "annotations": _annotations(pod, container, parts.attempt),
        "log_path": log_path(container["name"], parts.attempt),
        "stdin": bool(container.get("stdin")),
        "stdin_once": bool(container.get("stdinOnce")),
        "tty": bool(container.get("tty")),
        "linux": {"resources": container_resources(pod, container, node.memory), "security_context": security},
    }


def log_path(name: str, attempt: int) -> str:
    """A container's log below the pod's folder of logs."""
    return f"{name}/{attempt}.log"


def container_hash(container: Object) -> str:
    """Tells apart what a container was made from: name and image, the only parts that may change in a pod."""
    text = json.dumps([container["name"], container.get("image", "")])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _mounts(container: Object, parts: Parts) -> list[dict[str, Any]]:
    mounts = []
    for mount, bound in zip(container.get("volumeMounts") or (), parts.paths, strict=True):
        if mount.get("recursiveReadOnly") == "Enabled":
            raise ConfigFault(
                f'failed to resolve recursive read-only mode: volume "{mount["name"]}" requested recursive read-only '
                "mode, but it is not supported by the runtime"
            )
        mounts.append(
            {
                "container_path": _absolute(mount["mountPath"]),
                "host_path": bound.path,
                "readonly": bool(mount.get("readOnly")) or bound.read_only,
                "propagation": int(_PROPAGATION.get(mount.get("mountPropagation") or "", Propagation.PRIVATE)),
            }
        )
    taken = {mount["container_path"] for mount in mounts}
    for inside, outside in parts.files:
        if inside not in taken:
            mounts.append({"container_path": inside, "host_path": outside})
    return mounts


def _absolute(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


def _annotations(pod: Object, container: Object, attempt: int) -> dict[str, str]:
    out = {
        HASH: container_hash(container),
        RESTART_COUNT: str(attempt),
        "io.kubernetes.container.terminationMessagePath": container.get("terminationMessagePath") or "",
        "io.kubernetes.container.terminationMessagePolicy": container.get("terminationMessagePolicy") or "",
    }
    grace = pod["spec"].get("terminationGracePeriodSeconds")
    if grace is not None:
        out["io.kubernetes.pod.terminationGracePeriod"] = str(grace)
    if ports := container.get("ports"):
        out["io.kubernetes.container.ports"] = json.dumps(ports)
    return out
