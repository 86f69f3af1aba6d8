"""persistentVolumeClaim: the volume a pod's claim is bound to.

https://kubernetes.io/docs/concepts/storage/persistent-volumes/
"""

from __future__ import annotations

from knarr.api.registry import PVCS, PVS
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.kubelet.volumes.plugin import VolumeError

#: Fields of a PersistentVolume's spec that say nothing about where its data lies.
_NO_SOURCE = {
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
}


class Claims:
    """Reads claims and their volumes."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def resolve(self, pod: Object, volume: Object) -> Object:
        """The volume with its claim replaced by what stands behind it; others stay as they are.

        Raises `VolumeError`.
        """
        namespace = pod["metadata"]["namespace"]
        if claim := volume.get("persistentVolumeClaim"):
            name, read_only = claim["claimName"], bool(claim.get("readOnly"))
        elif volume.get("ephemeral") is not None:
            name, read_only = f"{pod['metadata']['name']}-{volume['name']}", False
        else:
            return volume
        bound = await self._bound(namespace, name)
        source = {key: value for key, value in bound["spec"].items() if key not in _NO_SOURCE}
        return {"name": bound["metadata"]["name"], "readOnly": read_only, **source}

    async def _bound(self, namespace: str, name: str) -> Object:
        where = f"{namespace}/{name}"
        try:
            claim = await self._client.get(PVCS, name, namespace)
            volume_name = claim["spec"].get("volumeName")
            if (claim.get("status") or {}).get("phase") != "Bound" or not volume_name:
                raise VolumeError(f"error processing PVC {where}: PVC is not bound")
            volume = await self._client.get(PVS, volume_name)
        except (StatusError, ConnectionError) as error:
            raise VolumeError(f"error processing PVC {where}: {error}") from error
        owner = volume["spec"].get("claimRef") or {}
        if owner.get("uid") != claim["metadata"]["uid"]:
            raise VolumeError(f"error processing PVC {where}: volume {volume_name} is bound to another claim")
        if volume["spec"].get("volumeMode") == "Block":
            raise VolumeError(f"error processing PVC {where}: volumeMode Block is not supported by this node")
        return volume
