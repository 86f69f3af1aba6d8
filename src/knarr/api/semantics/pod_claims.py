"""The volume claims of a pod.

Input: a pod. Output: the names of the claims it mounts, in their order.
Source: https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes
"""

from __future__ import annotations

from collections.abc import Iterator

from knarr.apimachinery.types import Object


def names(pod: Object) -> Iterator[str]:
    """The claims that a pod mounts: those it names, and those made for its ephemeral volumes."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        name = name_of(pod, volume)
        if name:
            yield name


def name_of(pod: Object, volume: Object) -> str:
    """The claim of one volume of a pod; empty for a volume without."""
    claim = volume.get("persistentVolumeClaim")
    if claim is not None:
        return str(claim.get("claimName", ""))
    return ephemeral_name(pod, volume) if volume.get("ephemeral") is not None else ""


def ephemeral_name(pod: Object, volume: Object) -> str:
    """The claim that is made for a pod's ephemeral volume."""
    return f"{pod['metadata']['name']}-{volume['name']}"
