"""The volume binder: whom it binds, what it says while it waits, and what becomes of volumes that are given back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.world import World, run

from knarr.api.registry import PODS, PVCS, PVS, STORAGECLASSES
from knarr.api.resources import Resource
from knarr.api.semantics.volume_binding import annotations_of, best_volume, default_class
from knarr.apimachinery.types import Object
from knarr.controller import persistent_volume

NS = "default"


def claim(name: str = "c", size: str = "1Gi", **spec: Any) -> Object:
    requests = {"requests": {"storage": size}}
    body = {"accessModes": ["ReadWriteOnce"], "resources": requests, "storageClassName": "", **spec}
    meta = {"name": name, "namespace": NS}
    return {"metadata": meta, "spec": {k: v for k, v in body.items() if v is not None}, "status": {"phase": "Pending"}}


def volume(name: str = "v", size: str = "1Gi", **spec: Any) -> Object:
    body = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "storageClassName": "", **spec}
    return {"metadata": {"name": name}, "spec": body, "status": {"phase": "Pending"}}


def storage_class(name: str, provisioner: str = "example.com/x", **more: Any) -> Object:
    return {"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": "Immediate", **more}


def told(*steps: tuple[Resource, Object] | tuple[Resource, str, str]) -> World:
    """The world after objects have been put there (or deleted, by name), one after another."""

    async def story(world: World) -> None:
        for step in steps:
            if len(step) == 2:
                world.api.put(step[0], step[1])
            else:
                world.api.delete(step[0], (step[1], step[2]), {})
            await world.settle()

    return run(story, (persistent_volume.CONTROLLER,))


def pair(world: World, claim_name: str = "c", volume_name: str = "v") -> tuple[str, str]:
    found = world.api.get(PVCS, NS, claim_name)["status"]["phase"]
    return found, world.api.get(PVS, "", volume_name)["status"]["phase"]


def test_a_claim_and_a_volume_that_suits_it_become_a_pair() -> None:
    world = told((PVS, volume(size="2Gi")), (PVCS, claim()))
    bound, given_to = world.api.get(PVCS, NS, "c"), world.api.get(PVS, "", "v")
    assert pair(world) == ("Bound", "Bound")
    assert bound["spec"]["volumeName"] == "v"
    assert bound["status"] == {
        "phase": "Bound",
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "2Gi"},
    }
    own, both = "pv.kubernetes.io/bound-by-controller", "pv.kubernetes.io/bind-completed"
    assert annotations_of(bound) == {own: "yes", both: "yes"}
    assert annotations_of(given_to) == {own: "yes"}
    assert given_to["spec"]["claimRef"]["uid"] == bound["metadata"]["uid"]
    assert world.notes.messages() == []


def test_a_volume_that_comes_later_finds_the_claim_that_waits() -> None:
    world = told((PVCS, claim(size="3Gi")), (PVS, volume("small")), (PVS, volume("big", "3Gi")))
    assert pair(world, volume_name="big") == ("Bound", "Bound")
    assert world.api.get(PVS, "", "small")["status"]["phase"] == "Available"
    waiting = "no persistent volumes available for this claim and no storage class is set"
    assert set(world.notes.messages()) == {f"Normal FailedBinding: {waiting}"}


def test_a_volume_reserved_for_a_claim_is_kept_for_it() -> None:
    reserved = volume("mine", "5Gi", claimRef={"namespace": NS, "name": "c"}, storageClassName="other")
    world = told((PVS, reserved), (PVCS, claim("else")), (PVCS, claim()))
    assert pair(world, volume_name="mine") == ("Bound", "Bound")
    assert annotations_of(world.api.get(PVS, "", "mine")) == {}
    assert world.api.get(PVCS, NS, "else")["status"]["phase"] == "Pending"


def test_a_claim_that_names_a_volume_it_does_not_fit_is_told_why() -> None:
    world = told((PVS, volume()), (PVCS, claim(size="2Gi", volumeName="v")))
    assert pair(world) == ("Pending", "Available")
    why = 'Cannot bind to requested volume "v": requested PV is too small'
    assert world.notes.messages() == [f"Warning VolumeMismatch: {why}"]


def test_of_two_claims_that_name_a_volume_the_second_hears_that_it_is_taken() -> None:
    world = told((PVS, volume()), (PVCS, claim("a", volumeName="v")), (PVCS, claim("b", volumeName="v")))
    assert pair(world, "a") == ("Bound", "Bound")
    assert world.api.get(PVCS, NS, "b")["status"]["phase"] == "Pending"
    assert 'Warning FailedBinding: volume "v" already bound to a different claim.' in world.notes.messages()


def test_a_claim_whose_volume_is_deleted_has_lost_its_data() -> None:
    world = told((PVS, volume()), (PVCS, claim()), (PVS, "", "v"))
    assert world.api.get(PVCS, NS, "c")["status"] == {"phase": "Lost"}
    lost = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
    assert world.notes.messages() == [f"Warning ClaimLost: {lost}"]


def test_a_volume_that_is_kept_is_released_and_not_given_to_the_next_claim_of_that_name() -> None:
    world = told((PVS, volume()), (PVCS, claim()), (PVCS, NS, "c"), (PVCS, claim()))
    assert pair(world) == ("Pending", "Released")


def test_volumes_that_nobody_can_delete_fail_and_those_of_a_provisioner_wait_for_it() -> None:
    for_path = volume("path", persistentVolumeReclaimPolicy="Delete", hostPath={"path": "/data"})
    dynamic = volume("dynamic", persistentVolumeReclaimPolicy="Delete", csi={"driver": "example.com/x"})
    dynamic["metadata"]["annotations"] = {"pv.kubernetes.io/provisioned-by": "example.com/x"}
    steps = ((PVS, for_path), (PVCS, claim("a")), (PVS, dynamic), (PVCS, claim("b")))
    world = told(*steps, (PVCS, NS, "a"), (PVCS, NS, "b"))
    failed = world.api.get(PVS, "", "path")["status"]
    assert failed["phase"] == "Failed"
    assert failed["message"] == "host_path deleter only supports /tmp/.+ but received provided /data"
    assert world.notes.messages() == [f"Warning VolumeFailedDelete: {failed['message']}"]
    assert world.api.get(PVS, "", "dynamic")["status"]["phase"] == "Released"


def test_a_provisioner_is_asked_with_both_annotations() -> None:
    world = told((STORAGECLASSES, storage_class("fast")), (PVCS, claim(storageClassName="fast")))
    asked = annotations_of(world.api.get(PVCS, NS, "c"))
    assert asked["volume.kubernetes.io/storage-provisioner"] == "example.com/x"
    assert asked["volume.beta.kubernetes.io/storage-provisioner"] == "example.com/x"
    assert world.notes.messages()[0].startswith(
        "Normal ExternalProvisioning: Waiting for a volume to be created either by the external provisioner "
        "'example.com/x' or manually by the system administrator."
    )


def test_an_unknown_class_and_one_without_a_provisioner_are_told() -> None:
    by_hand = storage_class("by-hand", "kubernetes.io/no-provisioner")
    steps = ((PVCS, claim("a", storageClassName="none")), (STORAGECLASSES, by_hand))
    world = told(*steps, (PVCS, claim("b", storageClassName="by-hand")))
    assert world.notes.messages() == [
        'Warning ProvisioningFailed: storageclass.storage.k8s.io "none" not found',
        "Warning ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner",
    ]


def test_a_claim_of_a_late_class_waits_for_a_pod_and_then_for_its_node() -> None:
    late = storage_class("late", volumeBindingMode="WaitForFirstConsumer")
    mounts = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    pod = {"metadata": {"name": "p", "namespace": NS}, "spec": {"volumes": mounts}}
    steps = ((STORAGECLASSES, late), (PVS, volume(storageClassName="late")), (PVCS, claim(storageClassName="late")))
    world = told(*steps, (PODS, pod))
    assert pair(world) == ("Pending", "Available")
    assert world.notes.messages() == [
        "Normal WaitForFirstConsumer: waiting for first consumer to be created before binding",
        "Normal WaitForPodScheduled: waiting for pod p to be scheduled",
    ]


def test_a_claim_without_a_class_takes_the_default_one_when_there_is_one() -> None:
    marked = {"storageclass.kubernetes.io/is-default-class": "true"}
    default = {**storage_class("std"), "metadata": {"name": "std", "annotations": marked}}
    steps = ((PVCS, claim("any", storageClassName=None)), (PVCS, claim("none")))
    world = told(*steps, (STORAGECLASSES, default))
    assert world.api.get(PVCS, NS, "any")["spec"]["storageClassName"] == "std"
    assert world.api.get(PVCS, NS, "none")["spec"]["storageClassName"] == ""


def test_a_recycled_volume_is_emptied_by_a_pod_and_offered_again() -> None:
    recycled = volume(persistentVolumeReclaimPolicy="Recycle", hostPath={"path": "/data"})

    async def story(world: World) -> None:
        world.api.put(PVS, recycled)
        world.api.put(PVCS, claim())
        await world.settle()
        world.api.delete(PVCS, (NS, "c"), {})
        await world.settle()
        pod = world.api.get(PODS, "default", "recycler-for-v")
        assert pod["spec"]["volumes"] == [{"name": "vol", "hostPath": {"path": "/data"}}]
        assert world.api.get(PVS, "", "v")["status"]["phase"] == "Released"
        world.api.set_status(PODS, "default", "recycler-for-v", phase="Succeeded")

    world = run(story, (persistent_volume.CONTROLLER,))
    assert world.api.get(PVS, "", "v")["status"]["phase"] == "Available"
    assert "claimRef" not in world.api.get(PVS, "", "v")["spec"]
    assert world.api.list(PODS) == []
    assert world.notes.messages() == ["Normal VolumeRecycled: Volume recycled"]


def test_a_recycling_that_fails_is_tried_again_after_a_pause_only() -> None:
    async def story(world: World) -> None:
        world.api.put(PVS, volume(persistentVolumeReclaimPolicy="Recycle", nfs={"server": "s", "path": "/"}))
        world.api.put(PVCS, claim())
        await world.settle()
        world.api.delete(PVCS, (NS, "c"), {})
        await world.settle()
        world.api.set_status(PODS, "default", "recycler-for-v", phase="Failed", message="no such server")
        await world.settle()
        assert world.api.get(PVS, "", "v")["status"]["message"] == "Recycle failed: no such server"
        assert world.api.list(PODS) == []
        await world.advance(130, 10)
        assert len(world.api.list(PODS)) == 1

    run(story, (persistent_volume.CONTROLLER,))


SIZES = st.sampled_from(["1Gi", "2Gi", "3Gi"])
MODES = st.sets(st.sampled_from(["ReadWriteOnce", "ReadWriteMany"]), min_size=1).map(sorted)


@given(SIZES, st.lists(st.tuples(SIZES, MODES), max_size=6))
def test_the_best_volume_suits_and_none_with_as_few_modes_is_smaller(size: str, offered: list[Any]) -> None:
    volumes = [
        {**volume(f"v{n}", of, accessModes=modes), "status": {"phase": "Available"}}
        for n, (of, modes) in enumerate(offered)
    ]
    wanted = claim(size=size)
    found = best_volume(wanted, volumes, delayed=False)
    suiting = [(len(m), s) for s, m in offered if "ReadWriteOnce" in m and s >= size]
    if found is None:
        assert not suiting
    else:
        spec = found["spec"]
        assert (len(spec["accessModes"]), spec["capacity"]["storage"]) == min(suiting)
    assert best_volume(wanted, volumes, delayed=True) is None


def test_of_several_default_classes_the_newest_counts_and_then_the_first_by_name() -> None:
    marked = {"storageclass.kubernetes.io/is-default-class": "true"}
    stamps = {"old": "2026-01-01T00:00:00Z", "b": "2026-02-01T00:00:00Z", "a": "2026-02-01T00:00:00Z"}
    classes = [{"metadata": {"name": n, "creationTimestamp": at, "annotations": marked}} for n, at in stamps.items()]
    found = default_class(classes)
    assert found is not None
    assert found["metadata"]["name"] == "a"
