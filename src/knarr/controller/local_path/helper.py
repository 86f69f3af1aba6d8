"""The pods that make and remove folders on a node.

Input: a node, a folder, what is to be done. Output: the pod's body. It mounts the folder's parent alone.
"""

from __future__ import annotations

import posixpath

from knarr.apimachinery.types import Object
from knarr.controller.local_path.names import NAMESPACE, Settings

#: What runs for each kind of helper.
MAKE = 'mkdir -m 0777 -p "$VOL_DIR"'
REMOVE = 'rm -rf "$VOL_DIR"'
_SECONDS = 120


def pod(name: str, node_name: str, path: str, script: str, settings: Settings) -> Object:
    """A pod that runs a script once on a node, whatever the node's taints are."""
    parent = posixpath.dirname(path)
    container = {
        "name": "helper-pod",
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", script],
        "env": [{"name": "VOL_DIR", "value": path}],
        "volumeMounts": [{"name": "data", "mountPath": parent}],
    }
    spec = {
        "nodeName": node_name,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": _SECONDS,
        "automountServiceAccountToken": False,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": [{"name": "data", "hostPath": {"path": parent, "type": "DirectoryOrCreate"}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def failure(found: Object) -> str:
    """Why a helper has failed."""
    status = found.get("status") or {}
    for each in status.get("containerStatuses") or ():
        ended = (each.get("state") or {}).get("terminated") or {}
        if ended.get("message") or ended.get("exitCode"):
            return str(ended.get("message") or f"exit code {ended['exitCode']}")
    return str(status.get("message") or status.get("reason") or "unknown")


def is_in(path: str, folder: str) -> bool:
    """Whether a path is that of a volume in the folder, and no other place of the node."""
    return posixpath.dirname(path) == folder and posixpath.basename(path).startswith("pvc-")
