"""Device claims of pods: made from templates, told in the pod's status, given back when nobody runs with them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.world import World, run

from knarr.api.registry import PODS, RESOURCECLAIMS, RESOURCECLAIMTEMPLATES
from knarr.api.semantics.device_claims import FINALIZER, POD_CLAIM
from knarr.apimachinery.types import Object
from knarr.controller import resource_claim
from knarr.controller.resource_claim.pods import generated_base

NS = "default"
CONTROLLERS = (resource_claim.CONTROLLER,)
TEMPLATE = {
    "metadata": {"name": "t", "namespace": NS},
    "spec": {"metadata": {"labels": {"a": "b"}}, "spec": {"devices": {}}},
}


def pod(name: str = "p", node: str = "", **entry: Any) -> Object:
    entry = entry or {"resourceClaimTemplateName": "t"}
    spec: Object = {"resourceClaims": [{"name": "gpu", **entry}]}
    if node:
        spec["nodeName"] = node
    return {"metadata": {"name": name, "namespace": NS}, "spec": spec, "status": {"phase": "Pending"}}


def claim(*users: tuple[str, str]) -> Object:
    reserved = [{"resource": "pods", "name": name, "uid": uid} for name, uid in users]
    meta = {"name": "c", "namespace": NS, "finalizers": [FINALIZER]}
    return {"metadata": meta, "spec": {}, "status": {"allocation": {"x": "y"}, "reservedFor": reserved}}


def test_a_pod_gets_its_claim_when_the_template_is_there_and_is_told_its_name() -> None:
    async def story(world: World) -> None:
        made = world.api.put(PODS, pod())
        await world.settle()
        missing = 'resource claim template "t": resourceclaimtemplate.resource.k8s.io "t" not found'
        said = f"Warning FailedResourceClaimCreation: PodResourceClaim gpu: {missing}"
        assert world.notes.messages() == [said]
        world.api.put(RESOURCECLAIMTEMPLATES, TEMPLATE)
        await world.settle()
        [found] = world.api.list(RESOURCECLAIMS)
        meta = found["metadata"]
        assert meta["name"].startswith("p-gpu-")
        assert meta["annotations"] == {POD_CLAIM: "gpu"}
        assert meta["labels"] == {"a": "b"}
        assert meta["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
        statuses = world.api.get(PODS, NS, "p")["status"]["resourceClaimStatuses"]
        assert statuses == [{"name": "gpu", "resourceClaimName": meta["name"]}]

    run(story, CONTROLLERS)


def test_a_claim_that_was_made_and_not_told_of_is_found_again() -> None:
    async def story(world: World) -> None:
        world.api.put(RESOURCECLAIMTEMPLATES, TEMPLATE)
        world.api.put(PODS, pod())
        await world.settle()
        world.api.set_status(PODS, NS, "p", resourceClaimStatuses=[])
        await world.settle()
        [found] = world.api.list(RESOURCECLAIMS)
        [status] = world.api.get(PODS, NS, "p")["status"]["resourceClaimStatuses"]
        assert status["resourceClaimName"] == found["metadata"]["name"]

    run(story, CONTROLLERS)


def test_reservations_of_pods_that_are_gone_end_and_free_the_devices() -> None:
    async def story(world: World) -> None:
        runs = world.api.put(PODS, pod("runs", "n", resourceClaimName="c"))
        world.api.put(RESOURCECLAIMS, claim(("runs", runs["metadata"]["uid"]), ("gone", "uid-gone")))
        await world.settle()
        left = world.api.get(RESOURCECLAIMS, NS, "c")
        assert [user["name"] for user in left["status"]["reservedFor"]] == ["runs"]
        assert left["status"]["allocation"] == {"x": "y"}
        world.api.set_status(PODS, NS, "runs", phase="Succeeded")
        await world.settle()
        free = world.api.get(RESOURCECLAIMS, NS, "c")
        assert free["status"] == {}
        assert not free["metadata"].get("finalizers")

    run(story, CONTROLLERS)


def test_a_pod_that_was_put_on_its_node_by_hand_has_its_allocated_claim_reserved() -> None:
    async def story(world: World) -> None:
        world.api.put(RESOURCECLAIMS, claim())
        world.api.put(PODS, pod("p", "n", resourceClaimName="c"))
        await world.settle()
        [user] = world.api.get(RESOURCECLAIMS, NS, "c")["status"]["reservedFor"]
        assert (user["resource"], user["name"]) == ("pods", "p")

    run(story, CONTROLLERS)


def test_the_generated_claim_of_a_pod_that_has_ended_goes() -> None:
    async def story(world: World) -> None:
        world.api.put(RESOURCECLAIMTEMPLATES, TEMPLATE)
        world.api.put(PODS, pod())
        await world.settle()
        assert len(world.api.list(RESOURCECLAIMS)) == 1
        world.api.set_status(PODS, NS, "p", phase="Failed")
        await world.settle()
        assert world.api.list(RESOURCECLAIMS) == []

    run(story, CONTROLLERS)


LABELS = st.text("abc-", min_size=1, max_size=63)


@given(LABELS, LABELS)
def test_the_names_of_claims_tell_of_pod_and_entry_and_are_never_too_long(pod_name: str, entry: str) -> None:
    base = generated_base(pod_name, entry)
    assert len(base) <= 58
    assert base.startswith(pod_name[:20])
