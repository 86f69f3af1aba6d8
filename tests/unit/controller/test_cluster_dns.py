"""The Service that the nodes' DNS answers for."""

from __future__ import annotations

from tests.fakes.world import World, run

from knarr.api.registry import ENDPOINTSLICES, NAMESPACES, NODES, SERVICES
from knarr.apimachinery.types import Object
from knarr.controller import cluster_dns

ADDRESS = "10.43.0.10"


def node(name: str, number: int, ready: str = "True") -> Object:
    return {
        "metadata": {"name": name},
        "spec": {"podCIDR": f"10.42.{number}.0/24", "podCIDRs": [f"10.42.{number}.0/24"]},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def addresses(world: World) -> dict[str, bool]:
    (found,) = world.api.list(ENDPOINTSLICES)
    return {item["addresses"][0]: item["conditions"]["ready"] for item in found["endpoints"]}


def test_nothing_without_nodes_then_a_service_with_an_endpoint_a_node() -> None:
    async def story(world: World) -> None:
        world.api.create(NAMESPACES, {"metadata": {"name": "kube-system"}})
        await world.settle()
        assert not world.api.list(SERVICES)
        world.api.create(NODES, node("a", 0))
        world.api.create(NODES, node("b", 1, ready="Unknown"))
        await world.settle()
        service = world.api.get(SERVICES, "kube-system", "kube-dns")
        assert service["spec"]["clusterIP"] == ADDRESS
        assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == [("dns", 53), ("dns-tcp", 53)]
        assert addresses(world) == {"10.42.0.1": True, "10.42.1.1": False}
        world.api.remove(NODES, ("", "b"))
        await world.settle()
        assert addresses(world) == {"10.42.0.1": True}

    run(story, (cluster_dns.controller(ADDRESS),))


def test_what_is_taken_away_comes_back() -> None:
    async def story(world: World) -> None:
        world.api.create(NAMESPACES, {"metadata": {"name": "kube-system"}})
        world.api.create(NODES, node("a", 0))
        await world.settle()
        (first,) = world.api.list(ENDPOINTSLICES)
        world.api.remove(ENDPOINTSLICES, ("kube-system", first["metadata"]["name"]))
        await world.settle()
        assert addresses(world) == {"10.42.0.1": True}
        world.api.remove(SERVICES, ("kube-system", "kube-dns"))
        await world.settle()
        assert world.api.get(SERVICES, "kube-system", "kube-dns")["spec"]["clusterIP"] == ADDRESS

    run(story, (cluster_dns.controller(ADDRESS),))


def test_somebody_elses_dns_is_left_alone() -> None:
    async def story(world: World) -> None:
        world.api.create(NAMESPACES, {"metadata": {"name": "kube-system"}})
        world.api.create(
            SERVICES,
            {
                "metadata": {"name": "kube-dns", "namespace": "kube-system"},
                "spec": {"clusterIP": ADDRESS, "selector": {"k8s-app": "coredns"}},
            },
        )
        world.api.create(NODES, node("a", 0))
        await world.settle()
        assert world.api.get(SERVICES, "kube-system", "kube-dns")["spec"]["selector"] == {"k8s-app": "coredns"}
        assert not world.api.list(ENDPOINTSLICES)

    run(story, (cluster_dns.controller(ADDRESS),))
