"""What every namespace and node is given: the default service account, the root certificate, pod addresses."""

from __future__ import annotations

from tests.fakes.world import World, run

from knarr.api.registry import CONFIGMAPS, NAMESPACES, NODES, SERVICEACCOUNTS
from knarr.apimachinery.types import Object
from knarr.controller import node_ipam, root_ca, service_account


def namespace(name: str, phase: str = "Active") -> Object:
    return {"metadata": {"name": name}, "status": {"phase": phase}}


def test_the_default_service_account_comes_and_comes_back() -> None:
    async def story(world: World) -> None:
        world.api.put(NAMESPACES, namespace("a"))
        world.api.put(NAMESPACES, namespace("going", "Terminating"))
        await world.settle()
        assert [item["metadata"]["namespace"] for item in world.api.list(SERVICEACCOUNTS)] == ["a"]
        world.api.remove(SERVICEACCOUNTS, ("a", "default"))
        await world.settle()
        assert world.api.get(SERVICEACCOUNTS, "a", "default")

    run(story, (service_account.CONTROLLER,))


def test_the_root_certificate_is_published_and_kept_right() -> None:
    async def story(world: World) -> None:
        world.api.put(NAMESPACES, namespace("a"))
        await world.settle()
        found = world.api.get(CONFIGMAPS, "a", "kube-root-ca.crt")
        assert found["data"] == {"ca.crt": "PEM"}
        world.api.update(CONFIGMAPS, {**found, "data": {"ca.crt": "other", "more": "x"}})
        await world.settle()
        assert world.api.get(CONFIGMAPS, "a", "kube-root-ca.crt")["data"] == {"ca.crt": "PEM"}
        before = len(world.api.requests)
        world.api.create(CONFIGMAPS, {"metadata": {"name": "mine", "namespace": "a"}})
        await world.settle()
        assert len(world.api.requests) == before

    run(story, (root_ca.controller("PEM"),))


def test_nodes_get_ranges_that_do_not_overlap() -> None:
    async def story(world: World) -> None:
        for name in ("a", "b", "c"):
            world.api.create(NODES, {"metadata": {"name": name}, "spec": {}})
        await world.settle()
        ranges = [world.api.get(NODES, "", name)["spec"]["podCIDRs"] for name in ("a", "b", "c")]
        assert ranges == [["10.42.0.0/24"], ["10.42.1.0/24"], ["10.42.2.0/24"]]
        world.api.remove(NODES, ("", "b"))
        world.api.create(NODES, {"metadata": {"name": "d"}, "spec": {}})
        await world.settle()
        assert world.api.get(NODES, "", "d")["spec"]["podCIDR"] == "10.42.1.0/24"

    run(story, (node_ipam.controller(["10.42.0.0/16"]),))


def test_a_full_range_is_told_and_served_when_a_node_goes() -> None:
    async def story(world: World) -> None:
        for name in ("a", "b"):
            world.api.create(NODES, {"metadata": {"name": name}, "spec": {}})
        await world.settle()
        assert "podCIDR" not in world.api.get(NODES, "", "b")["spec"]
        assert world.notes.messages() == ["Normal CIDRNotAvailable: Node b status is now: CIDRNotAvailable"]
        world.api.remove(NODES, ("", "a"))
        await world.settle()
        assert world.api.get(NODES, "", "b")["spec"]["podCIDR"] == "10.42.0.0/24"

    run(story, (node_ipam.controller(["10.42.0.0/24"]),))


def test_dual_stack_nodes_get_a_range_of_each_family() -> None:
    async def story(world: World) -> None:
        world.api.create(NODES, {"metadata": {"name": "a"}, "spec": {}})
        await world.settle()
        assert world.api.get(NODES, "", "a")["spec"]["podCIDRs"] == ["10.42.0.0/24", "fd00::/64"]

    run(story, (node_ipam.controller(["10.42.0.0/16", "fd00::/56"]),))
