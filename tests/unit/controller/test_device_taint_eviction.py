"""Pods on tainted devices: driven out at once, after a while, or never."""

from __future__ import annotations

from typing import Any

from tests.fakes.world import World, run

from knarr.api.registry import PODS, RESOURCECLAIMS, RESOURCESLICES
from knarr.apimachinery.types import Object
from knarr.controller import device_taint_eviction

NS = "default"


def pod() -> Object:
    spec = {"nodeName": "n", "resourceClaims": [{"name": "gpu", "resourceClaimName": "c"}]}
    return {"metadata": {"name": "p", "namespace": NS, "uid": "u"}, "spec": spec, "status": {"phase": "Running"}}


def claim(*tolerations: Object) -> Object:
    result = {"driver": "d", "pool": "n", "device": "gpu-1", "tolerations": list(tolerations)}
    user = {"resource": "pods", "name": "p", "uid": "u"}
    status = {"allocation": {"devices": {"results": [result]}}, "reservedFor": [user]}
    return {"metadata": {"name": "c", "namespace": NS}, "spec": {}, "status": status}


def devices(
    name: str, generation: int = 1, *, effect: str = "NoExecute", added: str = "2026-01-01T00:00:00Z"
) -> Object:
    taint = {"key": "broken", "value": "yes", "effect": effect, "timeAdded": added}
    pool = {"name": "n", "generation": generation}
    device = {"name": "gpu-1", "taints": [taint] if effect else []}
    return {"metadata": {"name": name}, "spec": {"driver": "d", "pool": pool, "devices": [device]}}


def told(*slices: Object, tolerations: tuple[Object, ...] = (), then: Any = None) -> World:
    async def story(world: World) -> None:
        world.api.graceful = False
        world.api.put(PODS, pod())
        world.api.put(RESOURCECLAIMS, claim(*tolerations))
        for each in slices:
            world.api.put(RESOURCESLICES, each)
        await world.settle()
        if then is not None:
            await then(world)

    return run(story, (device_taint_eviction.CONTROLLER,))


def test_a_pod_leaves_a_broken_device_at_once() -> None:
    seen: list[Object] = []

    async def story(world: World) -> None:
        world.api.put(PODS, pod())
        world.api.put(RESOURCECLAIMS, claim())
        world.api.put(RESOURCESLICES, devices("s"))
        await world.settle()
        seen.append(world.api.get(PODS, NS, "p"))

    world = run(story, (device_taint_eviction.CONTROLLER,))
    assert seen[0]["metadata"]["deletionTimestamp"]
    [condition] = seen[0]["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("DisruptionTarget", "DeletionByDeviceTaintManager")
    assert "Normal DeviceTaintManagerEviction: Marking for deletion" in world.notes.messages()


def test_taints_of_other_effects_and_of_older_generations_drive_nobody_out() -> None:
    for slices in ([devices("s", effect="NoSchedule")], [devices("new", 2, effect=""), devices("old", 1)]):
        assert len(told(*slices).api.list(PODS)) == 1


def test_a_toleration_holds_for_its_seconds_and_of_two_the_shorter_counts() -> None:
    fitting = {"key": "broken", "operator": "Exists"}

    async def later(world: World) -> None:
        await world.advance(20, 5)
        assert len(world.api.list(PODS)) == 1
        await world.advance(15, 5)
        assert world.api.list(PODS) == []

    told(devices("s"), tolerations=(fitting, {**fitting, "tolerationSeconds": 30}), then=later)
    assert len(told(devices("s"), tolerations=(fitting,)).api.list(PODS)) == 1


def test_a_device_that_is_mended_in_time_keeps_its_pod() -> None:
    async def mended(world: World) -> None:
        await world.advance(10, 5)
        world.api.update(RESOURCESLICES, devices("s", 1, effect=""))
        await world.advance(60, 10)
        assert len(world.api.list(PODS)) == 1
        assert world.notes.messages() == ["Normal DeviceTaintManagerEviction: Cancelling deletion"]

    told(devices("s"), tolerations=({"operator": "Exists", "tolerationSeconds": 30},), then=mended)
