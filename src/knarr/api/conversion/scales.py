"""The scale of workloads: `autoscaling/v1 Scale` read from an object, and written into one."""

from __future__ import annotations

from knarr.apimachinery import labels
from knarr.apimachinery.types import Object

#: The metadata of a workload that its scale shows too.
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(obj: Object) -> Object:
    """The scale of a Deployment, ReplicaSet, StatefulSet or ReplicationController.

    Raises `ValueError` for a selector that can't be read.
    """
    metadata = {name: obj["metadata"][name] for name in _METADATA if name in obj["metadata"]}
    replicas = obj["spec"].get("replicas") or 0
    status: Object = {"replicas": (obj.get("status") or {}).get("replicas", 0)}
    selector = selector_text(obj)
    if selector:
        status["selector"] = selector
    spec = {"replicas": replicas} if replicas else {}
    return {"metadata": metadata, "kind": "Scale", "apiVersion": "autoscaling/v1", "spec": spec, "status": status}


def set_scale(obj: Object, scale: Object) -> Object:
    """The object with the replicas of a scale, and its resourceVersion where it has one."""
    metadata = dict(obj["metadata"])
    if scale["metadata"].get("resourceVersion"):
        metadata["resourceVersion"] = scale["metadata"]["resourceVersion"]
    return {**obj, "metadata": metadata, "spec": {**obj["spec"], "replicas": scale["spec"].get("replicas", 0)}}


def selector_text(obj: Object) -> str:
    """The label selector of a workload as text: `a=b,c in (x,y)`. Raises `ValueError`."""
    selector = obj["spec"].get("selector")
    if not selector:
        return ""
    if obj["kind"] == "ReplicationController":
        return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    return str(labels.from_object(selector))
