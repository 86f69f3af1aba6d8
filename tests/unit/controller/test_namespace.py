"""Deletion of namespaces."""

from __future__ import annotations

from typing import Any

from tests.fakes.world import World, run

from knarr.api.registry import APISERVICES, CONFIGMAPS, NAMESPACES, PODS, SECRETS
from knarr.apimachinery.types import Object
from knarr.controller import namespace

ONE = (namespace.controller((PODS, CONFIGMAPS, SECRETS)),)


def make(world: World) -> None:
    world.api.put(
        NAMESPACES,
        {
            "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Terminating"},
        },
    )


def thing(name: str, **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "a", **more.pop("meta", {})}, **more}


def is_gone(world: World) -> bool:
    return not world.api.list(NAMESPACES)


def conditions(world: World) -> dict[str, str]:
    status = world.api.get(NAMESPACES, "", "a")["status"]
    return {item["type"]: f"{item['status']} {item['message']}" for item in status.get("conditions", [])}


def test_everything_goes_and_then_the_finalizer() -> None:
    async def story(world: World) -> None:
        world.api.put(PODS, thing("p", spec={}))
        world.api.put(CONFIGMAPS, thing("c"))
        world.api.put(SECRETS, thing("s"))
        world.api.put(SECRETS, {"metadata": {"name": "s", "namespace": "other"}})
        make(world)
        await world.settle()
        assert is_gone(world)
        assert [len(world.api.list(resource)) for resource in (PODS, CONFIGMAPS, SECRETS)] == [0, 0, 1]

    run(story, ONE)


def test_pods_go_before_what_they_may_need() -> None:
    async def story(world: World) -> None:
        world.api.put(PODS, thing("p", spec={"nodeName": "n"}))
        world.api.put(SECRETS, thing("s"))
        make(world)
        await world.settle()
        assert len(world.api.list(SECRETS)) == 1
        assert conditions(world)["NamespaceContentRemaining"].startswith(
            "True Some resources are remaining: pods. has 1"
        )
        assert not is_gone(world)
        world.api.remove(PODS, ("a", "p"))
        await world.settle()
        assert len(world.api.list(SECRETS)) == 0
        assert is_gone(world)

    run(story, ONE)


def test_finalizers_of_others_are_waited_for_and_told_about() -> None:
    async def story(world: World) -> None:
        world.api.put(CONFIGMAPS, thing("c", meta={"finalizers": ["x/y"]}))
        make(world)
        await world.settle()
        assert conditions(world)["NamespaceFinalizersRemaining"] == (
            "True Some content in the namespace has finalizers remaining: x/y in 1 resource instances"
        )
        before = len(world.api.requests)
        await world.advance(10)
        assert len(world.api.requests) == before
        held = world.api.get(CONFIGMAPS, "a", "c")
        world.api.update(CONFIGMAPS, {**held, "metadata": {**held["metadata"], "finalizers": []}})
        await world.settle()
        assert is_gone(world)

    run(story, ONE)


def serve(world: World, available: str) -> None:
    status = {"conditions": [{"type": "Available", "status": available}]}
    spec = {"group": "x.io", "version": "v1", "service": {"name": "s", "namespace": "n"}}
    world.api.put(APISERVICES, {"metadata": {"name": "v1.x.io"}, "spec": spec, "status": status})


def test_a_namespace_waits_for_servers_that_do_not_answer() -> None:
    async def story(world: World) -> None:
        serve(world, "False")
        world.api.documents["/apis/x.io/v1"] = {"resources": []}
        make(world)
        await world.settle()
        told = "x.io/v1: stale GroupVersion discovery: x.io/v1"
        assert conditions(world)["NamespaceDeletionDiscoveryFailure"] == (
            "True Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: "
            + told
        )
        assert conditions(world)["NamespaceContentRemaining"] == "False All content successfully removed"
        available = [{"type": "Available", "status": "True"}]
        world.api.set_status(APISERVICES, "", "v1.x.io", conditions=available)
        await world.settle()
        assert is_gone(world)

    run(story, ONE)


def test_what_other_servers_serve_goes_too() -> None:
    async def story(world: World) -> None:
        verbs = ["get", "list", "delete", "deletecollection"]
        things = {"name": "things", "kind": "Thing", "namespaced": True, "verbs": verbs}
        world.api.documents["/apis/x.io/v1"] = {"resources": [things, {**things, "name": "nodes", "verbs": ["list"]}]}
        world.api.documents["/apis/x.io/v1/namespaces/a/things"] = {"items": [thing("t")]}

        serve(world, "True")
        make(world)
        await world.settle()
        assert is_gone(world)
        assert ("DELETE", "/apis/x.io/v1/namespaces/a/things") in world.api.requests

    run(story, ONE)


def test_a_namespace_that_others_hold_tells_that_it_is_empty() -> None:
    async def story(world: World) -> None:
        make(world)
        world.api.change_spec(NAMESPACES, "", "a", finalizers=["kubernetes", "mine"])
        await world.settle()
        assert world.api.get(NAMESPACES, "", "a")["spec"]["finalizers"] == ["mine"]
        assert conditions(world)["NamespaceContentRemaining"] == "False All content successfully removed"

    run(story, ONE)
