"""The specification's [sig-storage] behaviours of the API and the controllers, each in a test of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.rest import Rest

pytestmark = pytest.mark.rootless
MERGE = {"Content_Type": "application/merge-patch+json"}
STORAGE = "/apis/storage.k8s.io/v1"
PVS = "/api/v1/persistentvolumes"


@pytest.fixture
def rest(api_only: Cluster) -> Rest:
    return Rest(api_only.kubeconfig)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for what a test makes outside of namespaces, and the label of it all."""
    return re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")


@pytest.fixture
def space(rest: Rest, name: str) -> Iterator[str]:
    """A namespace without a node behind it."""
    rest.ok("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    until(lambda: rest("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default")[0] == 200, "the account is there")
    yield name
    rest("DELETE", f"/api/v1/namespaces/{name}")


class Kind:
    """The objects of one resource that carry a test's label."""

    def __init__(self, rest: Rest, path: str, test: str) -> None:
        self.rest, self.path, self.test = rest, path, test

    def create(self, name: str, **fields: Any) -> Any:
        body = {"metadata": {"name": name, "labels": {"test": self.test}}, **fields}
        made = self.rest.ok("POST", self.path, body)
        assert made["metadata"]["name"] == name and made["metadata"]["uid"]
        return made

    def get(self, name: str) -> Any:
        return self.rest.ok("GET", f"{self.path}/{name}")

    def found(self) -> set[str]:
        listed = self.rest.ok("GET", f"{self.path}?labelSelector=test%3D{self.test}")
        return {item["metadata"]["name"] for item in listed["items"]}

    def patch_label(self, name: str) -> None:
        patch = {"metadata": {"labels": {"patched": "yes"}}}
        done = self.rest.ok("PATCH", f"{self.path}/{name}", patch, **MERGE)
        assert done["metadata"]["labels"]["patched"] == "yes"

    def update_label(self, name: str) -> None:
        """Read, change and write, anew when somebody else was quicker."""

        def tried() -> bool:
            current = self.get(name)
            current["metadata"].setdefault("labels", {})["updated"] = "yes"
            status, body = self.rest("PUT", f"{self.path}/{name}", current)
            assert status in (200, 409), body
            return status == 200

        until(tried, f"{name} is updated")
        assert self.get(name)["metadata"]["labels"]["updated"] == "yes"

    def delete(self, name: str) -> None:
        self.rest.ok("DELETE", f"{self.path}/{name}")
        until(lambda: self.rest("GET", f"{self.path}/{name}")[0] == 404, f"{name} is gone")

    def delete_all(self) -> None:
        self.rest.ok("DELETE", f"{self.path}?labelSelector=test%3D{self.test}")
        until(lambda: not self.found(), "all are gone")

    def live_through(self, name: str, **fields: Any) -> None:
        """Create, read, patch, delete, replace, update, delete as a collection."""
        self.create(name, **fields)
        assert self.get(name)["metadata"]["name"] == name
        self.patch_label(name)
        assert self.found() == {name}
        self.delete(name)
        self.create(f"{name}-2", **fields)
        self.update_label(f"{name}-2")
        self.delete_all()


def test_csi_driver_lifecycle(rest: Rest, name: str) -> None:
    """[sig-storage] CSIInlineVolumes should run through the lifecycle of a CSIDriver"""
    drivers = Kind(rest, f"{STORAGE}/csidrivers", name)
    for one in (f"{name}-a", f"{name}-b"):
        drivers.create(one, spec={"attachRequired": False, "volumeLifecycleModes": ["Ephemeral"]})
    drivers.patch_label(f"{name}-a")
    drivers.update_label(f"{name}-b")
    assert drivers.found() == {f"{name}-a", f"{name}-b"}
    drivers.delete(f"{name}-a")
    drivers.delete_all()


def test_csi_volume_source_in_pods(rest: Rest, space: str, name: str) -> None:
    """[sig-storage] CSIInlineVolumes should support CSIVolumeSource in Pod API"""
    drivers = Kind(rest, f"{STORAGE}/csidrivers", name)
    drivers.create(f"{name}.example.com", spec={"volumeLifecycleModes": ["Ephemeral"]})
    pods = Kind(rest, f"/api/v1/namespaces/{space}/pods", name)
    source = {"driver": f"{name}.example.com", "volumeAttributes": {"size": "1"}, "readOnly": True}
    containers = [{"name": "c", "image": "nginx", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]
    made = pods.create("p", spec={"containers": containers, "volumes": [{"name": "v", "csi": source}]})
    assert made["spec"]["volumes"][0] == {"name": "v", "csi": source}
    assert pods.found() == {"p"}
    pods.patch_label("p")
    pods.delete("p")
    drivers.delete_all()


def test_csi_node_lifecycle(rest: Rest, name: str) -> None:
    """[sig-storage] CSINodes CSI Conformance should run through the lifecycle of a csinode"""
    nodes = [{"name": "x.example.com", "nodeID": "n", "topologyKeys": ["zone"]}]
    Kind(rest, f"{STORAGE}/csinodes", name).live_through(name, spec={"drivers": nodes})


def test_csi_storage_capacity_operations(rest: Rest, space: str, name: str) -> None:
    """[sig-storage] CSIStorageCapacity should support CSIStorageCapacities API operations"""
    assert any(item["name"] == "storage.k8s.io" for item in rest.ok("GET", "/apis")["groups"])
    served = {item["name"]: item["verbs"] for item in rest.ok("GET", STORAGE)["resources"]}
    verbs = {"create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"}
    assert verbs <= set(served["csistoragecapacities"])
    capacities = Kind(rest, f"{STORAGE}/namespaces/{space}/csistoragecapacities", name)
    for number in (1, 2, 3):
        capacities.create(f"c{number}", storageClassName="x", capacity="1Gi")
    assert capacities.found() == {"c1", "c2", "c3"}
    everywhere = rest.ok("GET", f"{STORAGE}/csistoragecapacities?labelSelector=test%3D{name}")["items"]
    assert len(everywhere) == 3
    version = rest.ok("GET", capacities.path)["metadata"]["resourceVersion"]
    capacities.patch_label("c1")
    capacities.update_label("c1")
    events = rest.watch(f"{capacities.path}?resourceVersion={version}", 2)
    assert [event["type"] for event in events] == ["MODIFIED", "MODIFIED"]
    capacities.delete("c1")
    capacities.delete_all()


def volume(**more: Any) -> Any:
    source = {"driver": "x.example.com", "volumeHandle": "h"}
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "csi": source}
    return {**spec, "persistentVolumeReclaimPolicy": "Retain", **more}


def claim(**more: Any) -> Any:
    requests = {"requests": {"storage": "1Gi"}}
    return {"accessModes": ["ReadWriteOnce"], "resources": requests, **more}


def test_status_of_volumes_and_claims(rest: Rest, space: str, name: str) -> None:
    """[sig-storage] PersistentVolumes CSI Conformance should apply changes to a pv/pvc status"""
    volumes = Kind(rest, PVS, name)
    claims = Kind(rest, f"/api/v1/namespaces/{space}/persistentvolumeclaims", name)
    # A class that nobody has: the two never meet, as in the specification's own test.
    volumes.create(name, spec=volume(storageClassName=f"{name}-v"))
    claims.create("c", spec=claim(storageClassName=f"{name}-c"))
    assert volumes.found() == {name} and claims.found() == {"c"}
    assert rest.ok("GET", f"{claims.path}/c/status")["status"]["phase"] == "Pending"
    phase = until(lambda: rest.ok("GET", f"{PVS}/{name}/status")["status"].get("phase"), "the volume has a phase")
    assert phase in ("Pending", "Available")
    condition = {"type": "StatusPatched", "status": "True", "reason": "E2E", "message": "set by a patch"}
    done = rest.ok("PATCH", f"{claims.path}/c/status", {"status": {"conditions": [condition]}}, **MERGE)
    assert [each["type"] for each in done["status"]["conditions"]] == ["StatusPatched"]
    told = {"status": {"message": "set by a patch", "reason": "E2E"}}
    assert rest.ok("PATCH", f"{PVS}/{name}/status", told, **MERGE)["status"]["reason"] == "E2E"

    def updated(path: str, **fields: Any) -> Any:
        def tried() -> Any:
            current = rest.ok("GET", path)
            current["status"].update(fields)
            status, body = rest("PUT", f"{path}/status", current)
            assert status in (200, 409), body
            return body if status == 200 else None

        return until(tried, "the status is written")

    found = updated(f"{claims.path}/c", conditions=[{**condition, "type": "StatusUpdated"}])
    assert [each["type"] for each in found["status"]["conditions"]] == ["StatusUpdated"]
    assert updated(f"{PVS}/{name}", message="set by an update")["status"]["message"] == "set by an update"
    claims.delete_all()
    volumes.delete_all()


def test_volumes_and_claims_lifecycle(rest: Rest, space: str, name: str) -> None:
    """[sig-storage] PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC"""
    volumes = Kind(rest, PVS, name)
    claims = Kind(rest, f"/api/v1/namespaces/{space}/persistentvolumeclaims", name)
    made = volumes.create(f"{name}-1", spec=volume(storageClassName=name))
    claims.create("c1", spec=claim(storageClassName=name))
    until(lambda: claims.get("c1")["status"]["phase"] == "Bound", "the claim is bound")
    until(lambda: volumes.get(f"{name}-1")["status"]["phase"] == "Bound", "the volume is bound")
    assert claims.get("c1")["spec"]["volumeName"] == f"{name}-1"
    assert volumes.found() == {f"{name}-1"} and claims.found() == {"c1"}
    volumes.patch_label(f"{name}-1")
    claims.patch_label("c1")
    assert volumes.get(f"{name}-1")["metadata"]["uid"] == made["metadata"]["uid"]
    claims.delete("c1")
    until(lambda: volumes.get(f"{name}-1")["status"]["phase"] == "Released", "the volume is released")
    volumes.delete(f"{name}-1")
    volumes.create(f"{name}-2", spec=volume(storageClassName=name))
    claims.create("c2", spec=claim(storageClassName=name))
    volumes.update_label(f"{name}-2")
    claims.update_label("c2")
    claims.delete_all()
    volumes.delete_all()


def test_storage_class_lifecycle(rest: Rest, name: str) -> None:
    """[sig-storage] StorageClasses CSI Conformance should run through the lifecycle of a StorageClass"""
    Kind(rest, f"{STORAGE}/storageclasses", name).live_through(name, provisioner="e2e.example.com")


def attachment(name: str) -> Any:
    source = {"persistentVolumeName": f"{name}-v"}
    return {"attacher": "e2e.example.com", "nodeName": f"{name}-node", "source": source}


def test_volume_attachment_status(rest: Rest, name: str) -> None:
    """[sig-storage] VolumeAttachment Conformance should apply changes to a volumeattachment status"""
    attachments = Kind(rest, f"{STORAGE}/volumeattachments", name)
    attachments.create(name, spec=attachment(name))
    attachments.patch_label(name)
    path = f"{attachments.path}/{name}/status"
    assert rest.ok("GET", path)["status"] == {"attached": False}
    assert rest.ok("PATCH", path, {"status": {"attached": True}}, **MERGE)["status"]["attached"] is True
    current = rest.ok("GET", path)
    current["status"]["attached"] = False
    assert rest.ok("PUT", path, current)["status"]["attached"] is False
    attachments.delete(name)


def test_volume_attachment_lifecycle(rest: Rest, name: str) -> None:
    """[sig-storage] VolumeAttachment Conformance should run through the lifecycle of a VolumeAttachment"""
    Kind(rest, f"{STORAGE}/volumeattachments", name).live_through(name, spec=attachment(name))


def test_volume_attributes_class_lifecycle(rest: Rest, name: str) -> None:
    """[sig-storage] VolumeAttributesClass [FeatureGate:VolumeAttributesClass] should run through the lifecycle of a
    VolumeAttributesClass"""
    given = {"driverName": "e2e.example.com", "parameters": {"a": "b"}}
    Kind(rest, f"{STORAGE}/volumeattributesclasses", name).live_through(name, **given)


def test_claims_of_a_late_class_and_ephemeral_ones_wait_and_are_told_why(rest: Rest, space: str, name: str) -> None:
    """Not of the specification: what a user sees of controllers when no node is there."""
    late = {"provisioner": "e2e.example.com", "volumeBindingMode": "WaitForFirstConsumer"}
    classes = Kind(rest, f"{STORAGE}/storageclasses", name)
    classes.create(name, **late)
    template = {"spec": claim(storageClassName=name)}
    volumes = [{"name": "v", "ephemeral": {"volumeClaimTemplate": template}}]
    spec = {"containers": [{"name": "c", "image": "nginx"}], "volumes": volumes}
    Kind(rest, f"/api/v1/namespaces/{space}/pods", name).create("p", spec=spec)
    path = f"/api/v1/namespaces/{space}/persistentvolumeclaims/p-v"
    until(lambda: rest("GET", path)[0] == 200, "the claim of the ephemeral volume is made")
    assert rest.ok("GET", path)["metadata"]["ownerReferences"][0]["name"] == "p"

    def told() -> bool:
        events = rest.ok("GET", f"/api/v1/namespaces/{space}/events")["items"]
        return any(
            event["reason"] == "WaitForPodScheduled" and event["message"] == "waiting for pod p to be scheduled"
            for event in events
        )

    until(told, "an event says what the claim waits for")
    classes.delete_all()
