"""Claims of pods: which nodes can serve them, what is written for them, and when the pod goes on."""

from __future__ import annotations

from typing import Any

from tests.unit.scheduler.test_scheduler import RecordedApi, running

from knarr.api.registry import CSIDRIVERS, CSISTORAGECAPACITIES, PVCS, PVS, STORAGECLASSES
from knarr.api.semantics.volume_binding import BIND_COMPLETED, SELECTED_NODE, annotations_of
from knarr.apimachinery.types import Object
from knarr.component_base.clock import FakeClock
from knarr.scheduler.plugins.volume_binding import VolumeBinding
from knarr.scheduler.scheduler import Scheduler
from knarr.scheduler.volumes import Plan, claims_of, place

MOUNT = [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]


def claim(**spec: Any) -> Object:
    requests = {"requests": {"storage": "1Gi"}}
    body = {"accessModes": ["ReadWriteOnce"], "resources": requests, "storageClassName": "late", **spec}
    meta = {"name": "c", "namespace": "default", "uid": "uid-c", "resourceVersion": "1"}
    return {"kind": "PersistentVolumeClaim", "metadata": meta, "spec": body, "status": {"phase": "Pending"}}


def volume(name: str, host: str, size: str = "1Gi") -> Object:
    wanted = [{"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}]
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": wanted}]}}
    body = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "storageClassName": "late"}
    meta = {"name": name, "resourceVersion": "1"}
    return {"metadata": meta, "spec": {**body, "nodeAffinity": affinity}, "status": {"phase": "Available"}}


def late(provisioner: str = "example.com/x", **more: Any) -> Object:
    meta = {"name": "late"}
    return {"metadata": meta, "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer", **more}


def bound(volume_name: str) -> Object:
    made = claim(volumeName=volume_name)
    made["metadata"] |= {"annotations": {BIND_COMPLETED: "yes"}, "resourceVersion": "9"}
    return {**made, "status": {"phase": "Bound"}}


def refusal(make_pod: Any, make_cluster: Any, nodes: list[Any], *objects: tuple[Any, Object]) -> Any:
    """What the plugin says of a pod with the claim: of the pod, or of each node."""
    cluster = make_cluster(nodes)
    for resource, obj in objects:
        cluster.storage.set(resource, None, obj)
    found = VolumeBinding().pre_filter(make_pod(volumes=MOUNT), cluster)
    if found.rejection is not None:
        return found.rejection.reasons[0]
    judged = [found.filter(node) if found.filter else None for node in cluster.nodes]
    return [status.reasons[0] if status else "" for status in judged]


def test_pods_wait_for_claims_that_are_not_there_not_bound_or_lost(make_pod: Any, make_cluster: Any) -> None:
    assert refusal(make_pod, make_cluster, []) == 'persistentvolumeclaim "c" not found'
    unbound = refusal(make_pod, make_cluster, [], (PVCS, claim(storageClassName="")))
    assert unbound == "pod has unbound immediate PersistentVolumeClaims"
    lost = {**bound("v"), "status": {"phase": "Lost"}}
    said = 'persistentvolumeclaim "c" bound to non-existent persistentvolume "v"'
    assert refusal(make_pod, make_cluster, [], (PVCS, lost)) == said


def test_a_bound_claim_ties_the_pod_to_the_nodes_of_its_volume(
    make_pod: Any, make_node: Any, make_cluster: Any
) -> None:
    nodes = [make_node("a"), make_node("b")]
    told = refusal(make_pod, make_cluster, nodes, (PVCS, bound("v")), (PVS, volume("v", "b")))
    assert told == ["node(s) didn't match PersistentVolume's node affinity", ""]
    gone = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
    assert refusal(make_pod, make_cluster, nodes, (PVCS, bound("v"))) == [gone, gone]


def test_a_late_claim_goes_where_a_volume_or_a_provisioner_is(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    nodes = [make_node("a"), make_node("b")]
    by_hand = ((PVCS, claim()), (STORAGECLASSES, late("kubernetes.io/no-provisioner")), (PVS, volume("v", "b")))
    none = "node(s) didn't find available persistent volumes to bind"
    assert refusal(make_pod, make_cluster, nodes, *by_hand) == [none, ""]
    zone = {"matchLabelExpressions": [{"key": "kubernetes.io/hostname", "values": ["a"]}]}
    in_zone = ((PVCS, claim()), (STORAGECLASSES, late(allowedTopologies=[zone])))
    assert refusal(make_pod, make_cluster, nodes, *in_zone) == ["", none]


def test_a_driver_that_counts_its_room_is_believed(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    driver = {"metadata": {"name": "example.com/x"}, "spec": {"storageCapacity": True}}
    room = {
        "metadata": {"name": "r", "namespace": "default"},
        "storageClassName": "late",
        "capacity": "5Gi",
        "nodeTopology": {"matchLabels": {"kubernetes.io/hostname": "b"}},
    }
    objects = ((PVCS, claim()), (STORAGECLASSES, late()), (CSIDRIVERS, driver), (CSISTORAGECAPACITIES, room))
    told = refusal(make_pod, make_cluster, [make_node("a"), make_node("b")], *objects)
    assert told == ["node(s) did not have enough free storage", ""]


def test_the_smallest_volume_of_the_node_is_reserved(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    cluster = make_cluster([make_node("a")])
    volumes = [volume("big", "a", "5Gi"), volume("small", "a", "2Gi"), volume("far", "b")]
    for resource, obj in ((PVCS, claim()), (STORAGECLASSES, late()), *((PVS, each) for each in volumes)):
        cluster.storage.set(resource, None, obj)
    plan = place(claims_of(make_pod(volumes=MOUNT), cluster.storage), cluster.nodes_by_name["a"], cluster.storage)
    assert isinstance(plan, Plan)
    assert [each["metadata"]["name"] for each in plan.volumes] == ["small"]
    assert plan.volumes[0]["spec"]["claimRef"]["uid"] == "uid-c"
    assert plan.claims == ()
    cluster.storage.assume(PVS, plan.volumes)
    other = {**claim(), "metadata": {**claim()["metadata"], "name": "d", "uid": "uid-d"}}
    cluster.storage.set(PVCS, None, other)
    mount = [{"name": "data", "persistentVolumeClaim": {"claimName": "d"}}]
    second = place(claims_of(make_pod(volumes=mount), cluster.storage), cluster.nodes_by_name["a"], cluster.storage)
    assert isinstance(second, Plan)
    assert [each["metadata"]["name"] for each in second.volumes] == ["big"]


def test_a_pod_is_bound_after_its_claim_has_been_provisioned_for_its_node(make_pod: Any, make_node: Any) -> None:
    async def story(scheduler: Scheduler, api: RecordedApi, clock: FakeClock) -> None:
        scheduler.on_storage(STORAGECLASSES, None, late())
        scheduler.on_storage(PVCS, None, claim())
        scheduler.on_node(None, make_node("a"))
        scheduler.on_pod(None, make_pod(volumes=MOUNT).obj)
        await api.until(lambda: api.sent("PUT", "persistentvolumeclaims/c"))
        written = api.sent("PUT", "persistentvolumeclaims/c")[0]
        assert annotations_of(written)[SELECTED_NODE] == "a"
        assert not api.sent("POST", "/binding")
        scheduler.on_storage(PVS, None, volume("v", "a"))
        scheduler.on_storage(PVCS, claim(), bound("v"))
        await api.until(lambda: api.sent("POST", "/binding"))
        assert api.sent("POST", "/binding")[0]["target"]["name"] == "a"

    running(story)


def test_a_pod_is_tried_anew_when_the_provisioner_gives_its_node_up(make_pod: Any, make_node: Any) -> None:
    async def story(scheduler: Scheduler, api: RecordedApi, clock: FakeClock) -> None:
        scheduler.on_storage(STORAGECLASSES, None, late())
        scheduler.on_storage(PVCS, None, claim())
        scheduler.on_node(None, make_node("a"))
        scheduler.on_pod(None, make_pod(volumes=MOUNT).obj)
        await api.until(lambda: api.sent("PUT", "persistentvolumeclaims/c"))
        scheduler.on_storage(PVCS, claim(), claim())
        await api.until(lambda: api.sent("PATCH", "pods/p/status"))
        said = api.sent("PATCH", "pods/p/status")[0]["status"]["conditions"][0]["message"]
        assert said.startswith('running PreBind plugin "VolumeBinding": selectedNode annotation reset')
        clock.advance(20)
        await api.until(lambda: len(api.sent("PUT", "persistentvolumeclaims/c")) == 2)
        assert not api.sent("POST", "/binding")

    running(story)
