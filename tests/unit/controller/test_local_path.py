"""Volumes that are folders of nodes: made for the pod's node, removed with the claim, and never anything else."""

from __future__ import annotations

from typing import Any

from tests.fakes.world import World, run

from knarr.api.registry import NAMESPACES, NODES, PODS, PVCS, PVS, STORAGECLASSES
from knarr.api.semantics.volume_binding import SELECTED_NODE, annotations_of
from knarr.apimachinery.types import Object
from knarr.controller import local_path, persistent_volume

CONTROLLERS = (local_path.controller("/storage/", "busybox"), persistent_volume.CONTROLLER)
SYSTEM = "kube-system"


def claim(**spec: Any) -> Object:
    requests = {"requests": {"storage": "1Gi"}}
    body = {"accessModes": ["ReadWriteOnce"], "resources": requests, "storageClassName": "local-path", **spec}
    meta = {"name": "c", "namespace": "default", "uid": "u", "annotations": {SELECTED_NODE: "n"}}
    return {"metadata": meta, "spec": body, "status": {"phase": "Pending"}}


def furnish(world: World) -> None:
    world.api.put(NAMESPACES, {"metadata": {"name": SYSTEM}})
    world.api.put(NODES, {"metadata": {"name": "n", "labels": {"kubernetes.io/hostname": "host-n"}}})


async def ended(world: World, name: str, phase: str) -> Object:
    """A helper pod comes to its end; as it was."""
    pod = world.api.get(PODS, SYSTEM, name)
    world.api.graceful = False
    world.api.set_status(PODS, SYSTEM, name, phase=phase)
    await world.settle()
    return pod


async def provisioned(world: World) -> None:
    furnish(world)
    await world.settle()
    world.api.put(PVCS, claim())
    await world.settle()
    await ended(world, "helper-pod-create-pvc-u", "Succeeded")


def test_the_class_is_made_and_is_the_default() -> None:
    async def story(world: World) -> None:
        furnish(world)
        await world.settle()
        made = world.api.get(STORAGECLASSES, "", "local-path")
        assert made["volumeBindingMode"] == "WaitForFirstConsumer"
        assert annotations_of(made) == {"storageclass.kubernetes.io/is-default-class": "true"}

    run(story, CONTROLLERS)


def test_a_claim_gets_a_folder_of_its_pods_node_and_a_volume_that_is_bound_to_it() -> None:
    async def story(world: World) -> None:
        furnish(world)
        await world.settle()
        world.api.put(PVCS, claim())
        await world.settle()
        assert world.api.list(PVS) == []
        pod = await ended(world, "helper-pod-create-pvc-u", "Succeeded")
        assert pod["spec"]["nodeName"] == "n"
        assert pod["spec"]["containers"][0]["env"] == [{"name": "VOL_DIR", "value": "/storage/pvc-u_default_c"}]
        assert pod["spec"]["volumes"][0]["hostPath"]["path"] == "/storage"
        volume = world.api.get(PVS, "", "pvc-u")
        assert volume["spec"]["hostPath"] == {"path": "/storage/pvc-u_default_c", "type": "DirectoryOrCreate"}
        [term] = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
        assert term["matchExpressions"][0]["values"] == ["host-n"]
        assert world.api.get(PVCS, "default", "c")["status"]["phase"] == "Bound"
        assert world.api.list(PODS) == []
        assert "Normal ProvisioningSucceeded: Successfully provisioned volume pvc-u" in world.notes.messages()

    run(story, CONTROLLERS)


def test_the_folder_goes_with_the_claim_and_then_the_volume() -> None:
    async def story(world: World) -> None:
        await provisioned(world)
        world.api.delete(PVCS, ("default", "c"), {})
        await world.settle()
        assert world.api.get(PVS, "", "pvc-u")["status"]["phase"] == "Released"
        pod = await ended(world, "helper-pod-delete-pvc-u", "Succeeded")
        assert pod["spec"]["containers"][0]["command"][2] == 'rm -rf "$VOL_DIR"'
        assert world.api.list(PVS) == [] and world.api.list(PODS) == []

    run(story, CONTROLLERS)


def test_a_volume_of_a_node_that_is_gone_goes_at_once() -> None:
    async def story(world: World) -> None:
        await provisioned(world)
        world.api.delete(NODES, ("", "n"), {})
        world.api.delete(PVCS, ("default", "c"), {})
        await world.settle()
        assert world.api.list(PVS) == [] and world.api.list(PODS) == []

    run(story, CONTROLLERS)


def test_no_other_folder_is_ever_removed() -> None:
    async def story(world: World) -> None:
        furnish(world)
        affinity = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["host-n"]}]}
        for number, path in enumerate(("/etc", "/storage", "/storage/pvc-x/../..", "/storage/a/pvc-x")):
            notes = {"pv.kubernetes.io/provisioned-by": "rancher.io/local-path"}
            spec = {
                "hostPath": {"path": path},
                "persistentVolumeReclaimPolicy": "Delete",
                "claimRef": {"namespace": "default", "name": "gone", "uid": "gone"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [affinity]}},
            }
            world.api.put(PVS, {"metadata": {"name": f"v{number}", "annotations": notes}, "spec": spec})
        await world.settle()
        assert world.api.list(PODS) == []
        assert len(world.api.list(PVS)) == 4
        assert 'Warning VolumeFailedDelete: path "/etc" is none of a volume in /storage' in world.notes.messages()

    run(story, CONTROLLERS)


def test_a_helper_that_fails_is_told_of_and_tried_again_after_a_pause() -> None:
    async def story(world: World) -> None:
        furnish(world)
        await world.settle()
        world.api.put(PVCS, claim())
        await world.settle()
        await ended(world, "helper-pod-create-pvc-u", "Failed")
        first = world.api.get(PODS, SYSTEM, "helper-pod-create-pvc-u")["metadata"]["uid"]
        told = 'failed to provision volume with StorageClass "local-path": failed to create volume: unknown'
        assert f"Warning ProvisioningFailed: {told}" in world.notes.messages()
        await world.advance(20)
        assert world.api.get(PODS, SYSTEM, "helper-pod-create-pvc-u")["metadata"]["uid"] != first

    run(story, CONTROLLERS)


def test_what_folders_cannot_do_is_refused_and_a_node_that_is_gone_is_given_up() -> None:
    async def story(world: World) -> None:
        furnish(world)
        await world.settle()
        world.api.put(PVCS, claim(accessModes=["ReadWriteMany"]))
        await world.settle()
        assert any("NodePath only supports ReadWriteOnce" in message for message in world.notes.messages())
        world.api.delete(NODES, ("", "n"), {})
        await world.settle()
        assert SELECTED_NODE not in annotations_of(world.api.get(PVCS, "default", "c"))
        assert world.api.list(PODS) == []

    run(story, CONTROLLERS)
