"""ReplicationControllers differ from ReplicaSets in the form of their selector only."""

from __future__ import annotations

from tests.fakes.world import World, run

from knarr.api.registry import PODS, REPLICATIONCONTROLLERS
from knarr.apimachinery.types import Object
from knarr.controller.replicas import replication_controller

ONE = (replication_controller.CONTROLLER,)


def workload(replicas: int, **selector: str) -> Object:
    template = {"metadata": {"labels": {"app": "a", "tier": "x"}}, "spec": {"containers": [{"name": "c"}]}}
    spec = {"replicas": replicas, "selector": selector or {"app": "a"}, "template": template}
    return {"metadata": {"name": "rc", "namespace": "default"}, "spec": spec}


def test_it_keeps_its_pods_and_tells_its_status() -> None:
    async def story(world: World) -> None:
        world.api.create(REPLICATIONCONTROLLERS, workload(3))
        await world.settle()
        pods = world.api.list(PODS)
        assert len(pods) == 3
        owner = pods[0]["metadata"]["ownerReferences"][0]
        assert (owner["apiVersion"], owner["kind"], owner["name"]) == ("v1", "ReplicationController", "rc")
        status = world.api.get(REPLICATIONCONTROLLERS, "default", "rc")["status"]
        assert status == {"replicas": 3, "fullyLabeledReplicas": 3, "observedGeneration": 1}
        world.api.change_spec(REPLICATIONCONTROLLERS, "default", "rc", replicas=1)
        await world.settle()
        assert len(world.api.list(PODS)) == 1
        assert "Normal SuccessfulDelete" in " ".join(world.notes.messages())

    run(story, ONE)


def test_it_adopts_what_its_map_of_labels_matches_and_lets_go_what_it_does_not() -> None:
    async def story(world: World) -> None:
        meta = {"name": "orphan", "namespace": "default", "labels": {"app": "a", "more": "y"}}
        world.api.put(PODS, {"metadata": meta, "spec": {"containers": [{"name": "c"}]}, "status": {}})
        world.api.create(REPLICATIONCONTROLLERS, workload(1))
        await world.settle()
        (pod,) = world.api.list(PODS)
        assert pod["metadata"]["ownerReferences"][0]["name"] == "rc"
        world.api.update(PODS, {**pod, "metadata": {**pod["metadata"], "labels": {"app": "b"}}})
        await world.settle()
        names = {item["metadata"]["name"]: item["metadata"].get("ownerReferences") for item in world.api.list(PODS)}
        assert len(names) == 2
        assert not names["orphan"]

    run(story, ONE)
