"""Ranges of Service addresses: ready while they stand, held while addresses need them."""

from __future__ import annotations

from tests.fakes.world import World, run

from knarr.api.registry import IPADDRESSES, SERVICECIDRS
from knarr.apimachinery.types import Object
from knarr.controller import service_cidrs

LABELS = {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}


def cidr(name: str, *cidrs: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"cidrs": list(cidrs)}}


def ready(world: World, name: str) -> tuple[str, str]:
    [condition] = world.api.get(SERVICECIDRS, "", name)["status"]["conditions"]
    return condition["status"], condition["reason"]


def names(world: World) -> set[str]:
    return {each["metadata"]["name"] for each in world.api.list(SERVICECIDRS)}


def test_a_range_is_held_until_its_last_address_is_gone_and_a_grace_is_over() -> None:
    async def story(world: World) -> None:
        world.api.put(SERVICECIDRS, cidr("one", "10.1.0.0/24"))
        world.api.put(IPADDRESSES, {"metadata": {"name": "10.1.0.7", "labels": LABELS}})
        await world.settle()
        assert ready(world, "one") == ("True", "")
        finalizers = world.api.get(SERVICECIDRS, "", "one")["metadata"]["finalizers"]
        assert finalizers == ["networking.k8s.io/service-cidr-finalizer"]
        world.api.delete(SERVICECIDRS, ("", "one"), {})
        await world.advance(30, 5)
        assert ready(world, "one") == ("False", "Terminating")
        world.api.delete(IPADDRESSES, ("", "10.1.0.7"), {})
        await world.settle()
        assert names(world) == set()

    run(story, (service_cidrs.CONTROLLER,))


def test_a_range_goes_when_another_holds_its_addresses() -> None:
    async def story(world: World) -> None:
        world.api.put(SERVICECIDRS, cidr("one", "10.1.0.0/24"))
        world.api.put(IPADDRESSES, {"metadata": {"name": "10.1.0.7", "labels": LABELS}})
        await world.settle()
        world.api.delete(SERVICECIDRS, ("", "one"), {})
        await world.settle()
        world.api.put(SERVICECIDRS, cidr("wide", "10.0.0.0/8", "fd00::/64"))
        await world.settle()
        assert names(world) == {"one", "wide"}
        await world.advance(12)
        assert names(world) == {"wide"}

    run(story, (service_cidrs.CONTROLLER,))
