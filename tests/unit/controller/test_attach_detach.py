"""CSI volumes are attached where pods use them, to one node at a time, and not taken from a node that mounts them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from tests.fakes.world import World, run

from knarr.api.registry import CSIDRIVERS, NODES, PODS, PVCS, PVS, VOLUMEATTACHMENTS
from knarr.apimachinery.types import Object
from knarr.controller import attach_detach

NS = "default"
REPORTED = "kubernetes.io/csi/disk.example.com^handle"


def node(name: str) -> Object:
    notes = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
    ready = [{"type": "Ready", "status": "True"}]
    return {"metadata": {"name": name, "annotations": notes}, "spec": {}, "status": {"conditions": ready}}


def pod(name: str, on: str) -> Object:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    meta = {"name": name, "namespace": NS}
    return {"metadata": meta, "spec": {"nodeName": on, "volumes": volumes}, "status": {"phase": "Running"}}


def furnish(world: World, modes: tuple[str, ...] = ("ReadWriteOnce",)) -> None:
    """Two nodes, a claim and its volume."""
    source = {"driver": "disk.example.com", "volumeHandle": "handle"}
    ref = {"namespace": NS, "name": "c", "uid": "u"}
    world.api.put(NODES, node("a"))
    world.api.put(NODES, node("b"))
    world.api.put(
        PVS, {"metadata": {"name": "v"}, "spec": {"accessModes": list(modes), "csi": source, "claimRef": ref}}
    )
    world.api.put(PVCS, {"metadata": {"name": "c", "namespace": NS, "uid": "u"}, "spec": {"volumeName": "v"}})


def attached(world: World) -> list[str]:
    """To which nodes there are attachments."""
    return sorted(each["spec"]["nodeName"] for each in world.api.list(VOLUMEATTACHMENTS))


def attach(world: World) -> None:
    """What the external attacher does."""
    for each in list(world.api.list(VOLUMEATTACHMENTS)):
        world.api.set_status(VOLUMEATTACHMENTS, "", each["metadata"]["name"], attached=True)


def reported(world: World, name: str) -> list[str]:
    return [each["name"] for each in world.api.get(NODES, "", name)["status"].get("volumesAttached") or ()]


def story_of(steps: Any) -> World:
    return run(steps, (attach_detach.CONTROLLER,))


def test_a_volume_is_attached_reported_and_detached_when_the_node_has_let_go_of_it() -> None:
    async def story(world: World) -> None:
        furnish(world)
        world.api.put(PODS, pod("p", "a"))
        await world.settle()
        [made] = world.api.list(VOLUMEATTACHMENTS)
        assert made["spec"] == {
            "attacher": "disk.example.com",
            "nodeName": "a",
            "source": {"persistentVolumeName": "v"},
        }
        assert made["metadata"]["name"] == "csi-" + sha256(b"handledisk.example.coma").hexdigest()
        assert reported(world, "a") == []
        attach(world)
        await world.settle()
        assert reported(world, "a") == [REPORTED]
        assert world.notes.messages() == [
            'Normal SuccessfulAttachVolume: AttachVolume.Attach succeeded for volume "v" '
        ]
        world.api.set_status(NODES, "", "a", volumesInUse=[REPORTED])
        world.api.delete(PODS, (NS, "p"), {"gracePeriodSeconds": 0})
        await world.advance(800, 100)
        assert attached(world) == ["a"] and reported(world, "a") == [REPORTED]
        world.api.set_status(NODES, "", "a", volumesInUse=[])
        await world.settle()
        assert attached(world) == [] and reported(world, "a") == []

    story_of(story)


def test_an_exclusive_volume_waits_until_the_other_node_has_given_it_up() -> None:
    async def story(world: World) -> None:
        furnish(world)
        world.api.put(PODS, pod("first", "a"))
        await world.settle()
        world.api.put(PODS, pod("second", "b"))
        await world.settle()
        assert attached(world) == ["a"]
        said = 'Multi-Attach error for volume "v" Volume is already used by pod(s) first'
        assert world.notes.messages() == [f"Warning FailedAttachVolume: {said}"]
        world.api.set_status(PODS, NS, "first", phase="Succeeded")
        await world.settle()
        assert attached(world) == ["b"]

    story_of(story)


def test_a_shared_volume_is_attached_to_both_nodes() -> None:
    async def story(world: World) -> None:
        furnish(world, ("ReadWriteMany",))
        world.api.put(PODS, pod("first", "a"))
        world.api.put(PODS, pod("second", "b"))
        await world.settle()
        assert attached(world) == ["a", "b"]

    story_of(story)


def test_a_driver_that_attaches_nothing_is_left_alone() -> None:
    async def story(world: World) -> None:
        world.api.put(CSIDRIVERS, {"metadata": {"name": "disk.example.com"}, "spec": {"attachRequired": False}})
        furnish(world)
        world.api.put(PODS, pod("p", "a"))
        await world.settle()
        assert attached(world) == []

    story_of(story)


def test_a_silent_node_loses_its_volume_after_six_minutes_and_one_out_of_service_at_once() -> None:
    async def story(world: World) -> None:
        furnish(world)
        world.api.put(PODS, pod("p", "a"))
        await world.settle()
        attach(world)
        silent = [{"type": "Ready", "status": "Unknown"}]
        world.api.set_status(NODES, "", "a", volumesInUse=[REPORTED], conditions=silent)
        world.api.remove(PODS, (NS, "p"))
        await world.settle()
        await world.advance(350, 50)
        assert attached(world) == ["a"]
        await world.advance(20, 10)
        assert attached(world) == [] and reported(world, "a") == []
        world.api.put(PODS, pod("q", "a"))
        await world.settle()
        world.api.remove(PODS, (NS, "q"))
        await world.settle()
        assert attached(world) == ["a"]
        taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
        world.api.change_spec(NODES, "", "a", taints=[taint])
        await world.settle()
        assert attached(world) == []

    story_of(story)


def test_a_failing_attacher_is_told_of_and_attachments_of_others_are_not_touched() -> None:
    async def story(world: World) -> None:
        source = {"persistentVolumeName": "x"}
        spec = {"attacher": "a", "nodeName": "a", "source": source}
        world.api.put(VOLUMEATTACHMENTS, {"metadata": {"name": "by-hand"}, "spec": spec})
        furnish(world)
        world.api.put(PODS, pod("p", "a"))
        await world.settle()
        name = next(n for _, n in world.api.objects[VOLUMEATTACHMENTS] if n != "by-hand")
        world.api.set_status(VOLUMEATTACHMENTS, "", name, attached=False, attachError={"message": "no slot"})
        await world.settle()
        text = 'AttachVolume.Attach failed for volume "v" : no slot'
        assert world.notes.messages() == [f"Warning FailedAttachVolume: {text}"]
        assert len(attached(world)) == 2

    story_of(story)
