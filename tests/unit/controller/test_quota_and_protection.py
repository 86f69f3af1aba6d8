"""What quotas have used, and storage that somebody still uses."""

from __future__ import annotations

from typing import Any

from tests.fakes.world import World, run

from knarr.api.registry import CONFIGMAPS, PODS, PVCS, PVS, RESOURCEQUOTAS, VOLUMEATTRIBUTESCLASSES
from knarr.apimachinery.types import Object
from knarr.controller import resource_quota
from knarr.controller.protection import attribute_classes, claims, volumes

QUOTAS = (resource_quota.controller((RESOURCEQUOTAS, PODS, CONFIGMAPS, PVCS)),)
PROTECTION = (claims.CONTROLLER, volumes.CONTROLLER, attribute_classes.CONTROLLER)


def named(name: str, **fields: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "n"}, **fields}


def pod(name: str, cpu: str = "1", **spec: Any) -> Object:
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}}}
    return named(name, spec={"containers": [container], "nodeName": "a", **spec})


def status(world: World) -> Object:
    found: Object = world.api.get(RESOURCEQUOTAS, "n", "q")["status"]
    return found


def test_a_new_quota_tells_what_is_used_and_what_it_limits() -> None:
    async def story(world: World) -> None:
        for name in ("a", "b"):
            world.api.put(PODS, pod(name, "1500m"))
        world.api.put(PODS, {**pod("done"), "status": {"phase": "Succeeded"}})
        world.api.put(CONFIGMAPS, named("m"))
        hard = {"pods": "5", "count/pods": "5", "cpu": "10", "count/configmaps": "5", "count/x.example.com": "1"}
        world.api.create(RESOURCEQUOTAS, named("q", spec={"hard": hard}))
        await world.settle()
        used = {"pods": "2", "count/pods": "3", "cpu": "3", "count/configmaps": "1"}
        assert status(world) == {"hard": hard, "used": used}

    run(story, QUOTAS)


def test_what_is_gone_or_has_ended_is_given_back() -> None:
    async def story(world: World) -> None:
        for name in ("a", "b", "c"):
            world.api.put(PODS, pod(name))
        world.api.create(RESOURCEQUOTAS, named("q", spec={"hard": {"pods": "5", "cpu": "9"}}))
        await world.advance(10)
        world.api.graceful = False
        world.api.delete(PODS, ("n", "a"), {})
        await world.advance(2)
        assert status(world)["used"] == {"pods": "2", "cpu": "2"}
        ended = world.api.get(PODS, "n", "b")
        world.api.update(PODS, {**ended, "status": {"phase": "Failed"}}, "status")
        await world.advance(2)
        assert status(world)["used"] == {"pods": "1", "cpu": "1"}

    run(story, QUOTAS)


def test_use_that_was_charged_a_moment_ago_is_not_forgotten() -> None:
    async def story(world: World) -> None:
        world.api.put(PODS, pod("a"))
        world.api.create(RESOURCEQUOTAS, named("q", spec={"hard": {"pods": "5"}}))
        await world.advance(10)
        charged = world.api.get(RESOURCEQUOTAS, "n", "q")
        world.api.update(RESOURCEQUOTAS, {**charged, "status": {**status(world), "used": {"pods": "2"}}}, "status")
        world.api.graceful = False
        world.api.delete(PODS, ("n", "a"), {})
        await world.settle()
        assert status(world)["used"] == {"pods": "2"}
        world.api.put(PODS, pod("b"))
        await world.advance(2)
        assert status(world)["used"] == {"pods": "1"}

    run(story, QUOTAS)


def test_a_scope_leaves_out_what_it_does_not_choose() -> None:
    async def story(world: World) -> None:
        world.api.put(PODS, pod("a"))
        world.api.put(PODS, pod("b", activeDeadlineSeconds=9))
        spec = {"hard": {"pods": "5", "count/configmaps": "5"}, "scopes": ["Terminating"]}
        world.api.put(CONFIGMAPS, named("m"))
        world.api.create(RESOURCEQUOTAS, named("q", spec=spec))
        await world.settle()
        assert status(world)["used"] == {"pods": "1", "count/configmaps": "0"}
        world.api.change_spec(PODS, "n", "a", activeDeadlineSeconds=9)
        await world.advance(2)
        assert status(world)["used"]["pods"] == "2"

    run(story, QUOTAS)


def finalizers(world: World, resource: Any, namespace: str, name: str) -> list[str]:
    found: list[str] = world.api.get(resource, namespace, name)["metadata"].get("finalizers") or []
    return found


def test_a_claim_stays_until_no_pod_with_a_node_mounts_it() -> None:
    async def story(world: World) -> None:
        world.api.put(PVCS, named("data"))
        await world.settle()
        assert finalizers(world, PVCS, "n", "data") == ["kubernetes.io/pvc-protection"]
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
        world.api.put(PODS, pod("user", volumes=volumes))
        world.api.put(PODS, pod("waits", volumes=volumes, nodeName=""))
        await world.settle()
        world.api.delete(PVCS, ("n", "data"), {})
        await world.settle()
        assert finalizers(world, PVCS, "n", "data")
        world.api.graceful = False
        world.api.delete(PODS, ("n", "user"), {})
        await world.settle()
        assert ("n", "data") not in world.api.objects[PVCS]

    run(story, PROTECTION)


def test_an_ephemeral_claim_stays_for_its_own_pod_alone() -> None:
    async def story(world: World) -> None:
        volumes = [{"name": "v", "ephemeral": {}}]
        made = world.api.put(PODS, pod("user", volumes=volumes))
        owner = {"kind": "Pod", "apiVersion": "v1", "name": "user", "uid": made["metadata"]["uid"], "controller": True}
        world.api.put(PVCS, {"metadata": {"name": "user-v", "namespace": "n", "ownerReferences": [owner]}})
        world.api.put(PODS, pod("other", volumes=volumes))
        world.api.put(PVCS, named("other-v"))
        await world.settle()
        for name in ("user-v", "other-v"):
            world.api.delete(PVCS, ("n", name), {})
        await world.settle()
        assert [name for _, name in world.api.objects[PVCS]] == ["user-v"]

    run(story, PROTECTION)


def test_a_volume_stays_while_it_is_bound_and_a_class_while_it_is_named() -> None:
    async def story(world: World) -> None:
        world.api.put(PVS, {"metadata": {"name": "v"}, "status": {"phase": "Bound"}})
        world.api.put(VOLUMEATTRIBUTESCLASSES, {"metadata": {"name": "fast"}})
        claim = world.api.put(PVCS, named("data", spec={"volumeAttributesClassName": "fast"}))
        await world.settle()
        world.api.delete(PVS, ("", "v"), {})
        world.api.delete(VOLUMEATTRIBUTESCLASSES, ("", "fast"), {})
        await world.settle()
        assert finalizers(world, PVS, "", "v") == ["kubernetes.io/pv-protection"]
        assert finalizers(world, VOLUMEATTRIBUTESCLASSES, "", "fast") == ["kubernetes.io/vac-protection"]
        world.api.update(PVS, {**world.api.get(PVS, "", "v"), "status": {"phase": "Released"}}, "status")
        claim = world.api.get(PVCS, "n", "data")
        world.api.update(PVCS, {**claim, "spec": {}})
        await world.settle()
        assert not world.api.objects[PVS]
        assert not world.api.objects[VOLUMEATTRIBUTESCLASSES]

    run(story, PROTECTION)
