"""Claims, volumes and pods made to keep controllers busy: all of them come to rest, and stay there."""

from __future__ import annotations

from typing import Any

from tests.fakes.world import World, run

from knarr.api.registry import NAMESPACES, NODES, PODS, PVCS, PVS, STORAGECLASSES
from knarr.apimachinery.types import Object
from knarr.controller import attach_detach, ephemeral_volume, local_path, persistent_volume, volume_expand

NS = "default"
CONTROLLERS = (
    persistent_volume.CONTROLLER,
    volume_expand.CONTROLLER,
    attach_detach.CONTROLLER,
    ephemeral_volume.CONTROLLER,
    local_path.controller("/storage", "busybox"),
)
NONE = {"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "a", "operator": "DoesNotExist"}]}
LABELS = {f"label-{number}": "x" for number in range(2000)}


def claim(number: int, **spec: Any) -> Object:
    requests = {"requests": {"storage": "1Gi"}}
    body = {"accessModes": ["ReadWriteOnce"], "resources": requests, "storageClassName": "", **spec}
    meta = {"name": f"c{number}", "namespace": NS, "labels": LABELS}
    return {"metadata": meta, "spec": body, "status": {"phase": "Pending"}}


def volume(number: int, **spec: Any) -> Object:
    body = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "", **spec}
    return {"metadata": {"name": f"v{number}"}, "spec": body, "status": {}}


#: Selectors of nothing, volumes that do not exist, classes that do not, pairs that point past each other.
CLAIMS: tuple[dict[str, Any], ...] = (
    {"selector": NONE},
    {"volumeName": "nowhere"},
    {"storageClassName": "nowhere"},
    {"volumeName": "v0"},
    {"volumeName": "v1"},
    {"volumeMode": "Block"},
    {"accessModes": []},
    {"resources": {"requests": {"storage": "999999Ei"}}},
    {"storageClassName": "local-path", "accessModes": ["ReadWriteMany"]},
    {"storageClassName": "kubernetes"},
)
VOLUMES: tuple[dict[str, Any], ...] = (
    {"claimRef": {"namespace": NS, "name": "c1"}},
    {"claimRef": {"namespace": NS, "name": "c0", "uid": "another"}},
    {"claimRef": {"namespace": NS, "name": "c5"}, "volumeMode": "Filesystem"},
    {"persistentVolumeReclaimPolicy": "Recycle", "claimRef": {"namespace": NS, "name": "gone", "uid": "gone"}},
    {"persistentVolumeReclaimPolicy": "Delete", "claimRef": {"namespace": NS, "name": "gone", "uid": "gone"}},
    {"persistentVolumeReclaimPolicy": "Delete", "hostPath": {"path": "/tmp/../etc"}},
)


def test_hostile_claims_and_volumes_cost_bounded_work_and_then_none() -> None:
    async def story(world: World) -> None:
        world.api.put(NAMESPACES, {"metadata": {"name": "kube-system"}})
        world.api.put(NODES, {"metadata": {"name": "n"}})
        world.api.put(STORAGECLASSES, {"metadata": {"name": "kubernetes"}, "provisioner": "kubernetes.io/none"})
        for round_ in range(10):
            for number, spec in enumerate(CLAIMS):
                world.api.put(PVCS, claim(number + round_ * len(CLAIMS), **spec))
            for number, spec in enumerate(VOLUMES):
                world.api.put(PVS, volume(number + round_ * len(VOLUMES), **spec))
        volumes = [{"name": f"v{n}", "persistentVolumeClaim": {"claimName": f"c{n}"}} for n in range(100)]
        world.api.put(PODS, {"metadata": {"name": "p", "namespace": NS}, "spec": {"volumes": volumes}})
        await world.settle()
        writes = [request for request in world.api.requests if request[0] != "GET"]
        assert len(writes) < 10 * (len(CLAIMS) + len(VOLUMES)) * 5
        await world.advance(30, 10)
        before = len(world.api.requests)
        await world.advance(3600, 300)
        # What only time may mend is looked at now and then, and no more.
        assert len(world.api.requests) - before < 100

    run(story, CONTROLLERS)
