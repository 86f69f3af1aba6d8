from __future__ import annotations

import asyncio
from typing import Any

import pytest

from knarr.apimachinery.types import Object
from knarr.kubelet.volumes.claims import Claims
from knarr.kubelet.volumes.plugin import VolumeError

POD = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}}
VOLUME = {"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}}


@pytest.fixture
def bound(server: Any) -> Any:
    spec = {"capacity": {"storage": "1Gi"}, "claimRef": {"uid": "uid-c"}, "hostPath": {"path": "/data"}}
    server.put("/api/v1/persistentvolumes/pv", {"spec": {**spec, "storageClassName": "", "accessModes": []}})
    claim = {"spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}
    server.put("/api/v1/namespaces/ns/persistentvolumeclaims/c", claim)
    server.put("/api/v1/namespaces/ns/persistentvolumeclaims/p-scratch", claim)
    return server


def resolve(server: Any, volume: Object) -> Object:
    return asyncio.run(Claims(server.client).resolve(POD, volume))


def test_a_claim_is_what_it_is_bound_to(bound: Any) -> None:
    assert resolve(bound, VOLUME) == {"name": "pv", "readOnly": True, "hostPath": {"path": "/data"}}
    assert resolve(bound, {"name": "x", "emptyDir": {}}) == {"name": "x", "emptyDir": {}}


@pytest.mark.parametrize(
    ("path", "change", "text"),
    [
        ("/api/v1/namespaces/ns/persistentvolumeclaims/c", {"status": {"phase": "Pending"}}, "PVC is not bound"),
        ("/api/v1/persistentvolumes/pv", {"spec": {"claimRef": {"uid": "other"}}}, "is bound to another claim"),
        (
            "/api/v1/persistentvolumes/pv",
            {"spec": {"claimRef": {"uid": "uid-c"}, "volumeMode": "Block"}},
            "volumeMode Block is not supported",
        ),
    ],
)
def test_a_claim_that_cannot_be_used(bound: Any, path: str, change: Object, text: str) -> None:
    bound.put(path, {**bound.objects[path], **change})
    with pytest.raises(VolumeError, match=f"^error processing PVC ns/c: .*{text}"):
        resolve(bound, VOLUME)


def test_a_volume_of_another_pods_claim_is_refused(bound: Any) -> None:
    with pytest.raises(VolumeError, match="bound to another claim"):
        resolve(bound, {"name": "scratch", "ephemeral": {}})


def test_a_claim_that_is_not_there(server: Any) -> None:
    with pytest.raises(VolumeError, match='^error processing PVC ns/c: .*"c" not found'):
        resolve(server, VOLUME)
