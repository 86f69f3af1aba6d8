"""Generic ephemeral volumes: each pod gets claims of its own, and nobody else's."""

from __future__ import annotations

from tests.fakes.world import World, run

from knarr.api.registry import PODS, PVCS
from knarr.apimachinery.types import Object
from knarr.controller import ephemeral_volume

NS = "default"


def pod() -> Object:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}, {"name": "x", "emptyDir": {}}]
    return {"metadata": {"name": "p", "namespace": NS}, "spec": {"volumes": volumes}}


def test_a_pod_gets_a_claim_and_gets_it_again() -> None:
    async def story(world: World) -> None:
        made = world.api.put(PODS, pod())
        await world.settle()
        [claim] = world.api.list(PVCS)
        assert claim["metadata"]["name"] == "p-scratch"
        assert claim["metadata"]["labels"] == {"a": "b"}
        assert claim["spec"] == {"accessModes": ["ReadWriteOnce"]}
        [owner] = claim["metadata"]["ownerReferences"]
        assert owner == {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": "p",
            "uid": made["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        world.api.delete(PVCS, (NS, "p-scratch"), {})
        await world.settle()
        assert len(world.api.list(PVCS)) == 1

    run(story, (ephemeral_volume.CONTROLLER,))


def test_the_claim_of_another_is_left_alone_until_it_is_gone() -> None:
    async def story(world: World) -> None:
        world.api.put(PVCS, {"metadata": {"name": "p-scratch", "namespace": NS}, "spec": {}})
        world.api.put(PODS, pod())
        await world.settle()
        said = "ephemeral volume scratch: PVC default/p-scratch was not created for pod default/p (pod is not owner)"
        assert world.notes.messages() == [f"Warning FailedBinding: {said}"]
        world.api.delete(PVCS, (NS, "p-scratch"), {})
        await world.settle()
        assert world.api.get(PVCS, NS, "p-scratch")["metadata"]["ownerReferences"][0]["name"] == "p"

    run(story, (ephemeral_volume.CONTROLLER,))
