"""The garbage collector."""

from __future__ import annotations

from typing import Any

from tests.fakes.world import World, run

from knarr.api.registry import CONFIGMAPS, NODES, PODS, REPLICASETS
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.controller import garbage_collector

ONE = (garbage_collector.controller((CONFIGMAPS, PODS, REPLICASETS, NODES)),)


def owned(name: str, *owners: Object, block: bool = False, **meta: Any) -> Object:
    references = [
        {
            "apiVersion": "v1",
            "kind": owner.get("kind", "ConfigMap"),
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            **({"blockOwnerDeletion": True} if block else {}),
        }
        for owner in owners
    ]
    return {"metadata": {"name": name, "namespace": "a", "ownerReferences": references, **meta}}


def plain(name: str, **meta: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "a", **meta}}


def names(world: World, resource: Resource = CONFIGMAPS) -> list[str]:
    return sorted(item["metadata"]["name"] for item in world.api.list(resource))


def test_dependents_of_a_deleted_owner_go_level_by_level() -> None:
    async def story(world: World) -> None:
        top = world.api.create(CONFIGMAPS, plain("top"))
        middle = world.api.create(CONFIGMAPS, owned("middle", top))
        world.api.create(PODS, {**owned("leaf", middle), "spec": {}})
        await world.settle()
        assert not world.api.requests
        world.api.remove(CONFIGMAPS, ("a", "top"))
        await world.settle()
        assert names(world) == []
        assert names(world, PODS) == []

    run(story, ONE)


def test_an_owner_that_never_was_is_looked_for_and_then_the_object_goes() -> None:
    async def story(world: World) -> None:
        ghost = plain("ghost", uid="no-such-uid")
        world.api.create(CONFIGMAPS, owned("lost", ghost))
        await world.settle()
        assert names(world) == []
        assert ("GET", "/api/v1/namespaces/a/configmaps/ghost") in world.api.requests

    run(story, ONE)


def test_an_owner_the_watch_has_not_shown_yet_is_not_absent() -> None:
    async def story(world: World) -> None:
        owner = world.api.create(REPLICASETS, plain("owner"))
        owner = {**owner, "apiVersion": "apps/v1", "kind": "ReplicaSet"}
        child = owned("child", owner)
        child["metadata"]["ownerReferences"][0]["apiVersion"] = "apps/v1"
        world.api.create(CONFIGMAPS, child)
        world.informers.deliver(CONFIGMAPS)
        await world.settle()
        assert names(world) == ["child"]

    run(story, ONE, hold=True)


def test_one_of_two_owners_is_enough_to_stay() -> None:
    async def story(world: World) -> None:
        one, two = world.api.create(CONFIGMAPS, plain("one")), world.api.create(CONFIGMAPS, plain("two"))
        world.api.create(CONFIGMAPS, owned("child", one, two))
        await world.settle()
        world.api.remove(CONFIGMAPS, ("a", "one"))
        await world.settle()
        references = world.api.get(CONFIGMAPS, "a", "child")["metadata"]["ownerReferences"]
        assert [item["name"] for item in references] == ["two"]

    run(story, ONE)


def test_foreground_deletion_waits_for_dependents_that_block() -> None:
    async def story(world: World) -> None:
        owner = world.api.create(CONFIGMAPS, plain("owner"))
        world.api.create(PODS, {**owned("slow", owner, block=True), "spec": {"nodeName": "n"}})
        world.api.create(CONFIGMAPS, owned("free", owner, finalizers=["x/y"]))
        await world.settle()
        world.api.delete(CONFIGMAPS, ("a", "owner"), {"propagationPolicy": "Foreground"})
        await world.settle()
        assert names(world) == ["free", "owner"]
        assert world.api.get(PODS, "a", "slow")["metadata"]["deletionTimestamp"]
        world.api.remove(PODS, ("a", "slow"))
        await world.settle()
        assert names(world) == ["free"]

    run(story, ONE)


def test_orphans_lose_their_owner_and_stay() -> None:
    async def story(world: World) -> None:
        owner = world.api.create(CONFIGMAPS, plain("owner"))
        world.api.create(CONFIGMAPS, owned("child", owner))
        await world.settle()
        world.api.delete(CONFIGMAPS, ("a", "owner"), {"propagationPolicy": "Orphan"})
        await world.settle()
        assert names(world) == ["child"]
        assert not world.api.get(CONFIGMAPS, "a", "child")["metadata"].get("ownerReferences")

    run(story, ONE)


def test_foreground_deletion_goes_down_the_tree() -> None:
    async def story(world: World) -> None:
        top = world.api.create(CONFIGMAPS, plain("top"))
        middle = world.api.create(CONFIGMAPS, owned("middle", top, block=True))
        world.api.create(PODS, {**owned("leaf", middle, block=True), "spec": {"nodeName": "n"}})
        await world.settle()
        world.api.delete(CONFIGMAPS, ("a", "top"), {"propagationPolicy": "Foreground"})
        await world.settle()
        assert names(world) == ["middle", "top"]
        world.api.remove(PODS, ("a", "leaf"))
        await world.settle()
        assert names(world) == []

    run(story, ONE)


def test_owners_in_a_circle_are_deleted_in_the_foreground_all_the_same() -> None:
    async def story(world: World) -> None:
        one = world.api.create(CONFIGMAPS, plain("one"))
        two = world.api.create(CONFIGMAPS, owned("two", one, block=True))
        meta = {**one["metadata"], "ownerReferences": owned("", two, block=True)["metadata"]["ownerReferences"]}
        world.api.update(CONFIGMAPS, {**one, "metadata": meta})
        await world.settle()
        world.api.delete(CONFIGMAPS, ("a", "one"), {"propagationPolicy": "Foreground"})
        await world.settle()
        assert names(world) == []

    run(story, ONE)


def test_an_owner_in_another_namespace_counts_as_absent() -> None:
    async def story(world: World) -> None:
        owner = world.api.create(CONFIGMAPS, {"metadata": {"name": "owner", "namespace": "b"}})
        world.api.create(CONFIGMAPS, owned("child", owner))
        await world.settle()
        assert names(world) == ["owner"]

    run(story, ONE)


def test_a_cluster_wide_object_with_a_namespaced_owner_stays_and_is_told_about() -> None:
    async def story(world: World) -> None:
        node = owned("node", plain("ghost", uid="u"))
        del node["metadata"]["namespace"]
        world.api.create(NODES, node)
        await world.settle()
        assert names(world, NODES) == ["node"]

    world = run(story, ONE)
    assert [note.reason for note in world.notes.taken] == ["OwnerRefInvalidNamespace"]


def test_a_cluster_wide_owner_takes_its_dependents_along() -> None:
    async def story(world: World) -> None:
        node = world.api.create(NODES, {"metadata": {"name": "n"}})
        world.api.create(CONFIGMAPS, owned("child", {**node, "kind": "Node"}))
        await world.settle()
        world.api.remove(NODES, ("", "n"))
        await world.settle()
        assert names(world) == []

    run(story, ONE)


def test_an_owner_in_another_namespace_is_none_and_told_of() -> None:
    async def story(world: World) -> None:
        owner = world.api.create(CONFIGMAPS, {"metadata": {"name": "owner", "namespace": "b"}})
        world.api.create(PODS, {**owned("child", owner), "spec": {}})
        await world.settle()
        assert names(world, PODS) == []
        assert names(world) == ["owner"]

    (told,) = run(story, ONE).notes.messages()
    assert told == (
        "Warning OwnerRefInvalidNamespace: ownerRef [v1/ConfigMap, namespace: a, name: owner, uid: uid-1] "
        'does not exist in namespace "a"'
    )
