"""Silent nodes, taints, evictions, and pods that nobody else removes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fakes.world import World, run

from knarr.api.registry import LEASES, NODES, PODS
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller import node_lifecycle, pod_gc, taint_eviction

LIFE = (node_lifecycle.controller(), taint_eviction.CONTROLLER)
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


def add_node(world: World, name: str, ready: str = "True", **spec: Any) -> None:
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": timestamps.seconds(world.clock.now())}
    world.api.put(NODES, {"metadata": {"name": name}, "spec": spec, "status": {"conditions": [condition]}})


def beat(world: World, name: str) -> None:
    spec = {"renewTime": timestamps.micro(world.clock.now())}
    lease = {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": spec}
    if ("kube-node-lease", name) in world.api.objects[LEASES]:
        world.api.update(LEASES, lease)
    else:
        world.api.create(LEASES, lease)


def add_pod(world: World, name: str, node: str = "a", **spec: Any) -> None:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    pod = {"metadata": {"name": name, "namespace": "default"}, "spec": {"nodeName": node, **spec}, "status": status}
    world.api.put(PODS, pod)


def ready(obj: Object) -> str:
    return next(str(item["status"]) for item in obj["status"]["conditions"] if item["type"] == "Ready")


def taints(world: World, name: str) -> set[tuple[str, str]]:
    spec = world.api.get(NODES, "", name)["spec"]
    return {(taint["key"], taint["effect"]) for taint in spec.get("taints", ())}


def tolerate(seconds: int | None, key: str = UNREACHABLE) -> list[Object]:
    toleration: Object = {"key": key, "operator": "Exists", "effect": "NoExecute"}
    return [toleration if seconds is None else {**toleration, "tolerationSeconds": seconds}]


def test_a_silent_node_is_unknown_tainted_and_emptied() -> None:
    async def story(world: World) -> None:
        for name in ("a", "b"):
            add_node(world, name)
            beat(world, name)
        add_pod(world, "p", tolerations=tolerate(300))
        add_pod(world, "stays", tolerations=tolerate(None))
        await world.settle()
        assert not world.api.requests
        for _ in range(6):
            await world.advance(10)
            beat(world, "b")
        node = world.api.get(NODES, "", "a")
        assert ready(node) == "Unknown"
        assert node["status"]["conditions"][0]["reason"] == "NodeStatusUnknown"
        assert taints(world, "a") == {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}
        assert taints(world, "b") == set()
        assert ready(world.api.get(PODS, "default", "p")) == "False"
        for _ in range(31):
            await world.advance(10, step=10)
            beat(world, "b")
        assert world.api.get(PODS, "default", "p")["metadata"]["deletionTimestamp"]
        assert not world.api.get(PODS, "default", "stays")["metadata"].get("deletionTimestamp")

    world = run(story, LIFE)
    assert "Normal NodeNotReady: Node a status is now: NodeNotReady" in world.notes.messages()
    assert "Normal TaintManagerEviction: Marking for deletion Pod default/p" in world.notes.messages()


def test_a_node_that_beats_is_left_in_peace() -> None:
    async def story(world: World) -> None:
        add_node(world, "a")
        for _ in range(30):
            beat(world, "a")
            await world.advance(10, step=5)
        assert not world.api.requests

    run(story, LIFE)


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_clock_that_jumps_neither_loses_a_node_nor_saves_one(seconds: float) -> None:
    async def story(world: World) -> None:
        for name in ("a", "b"):
            add_node(world, name)
            beat(world, name)
        await world.settle()
        world.clock.jump(seconds)
        for _ in range(6):
            await world.advance(10)
            beat(world, "b")
        assert [ready(world.api.get(NODES, "", name)) for name in ("a", "b")] == ["Unknown", "True"]
        assert taints(world, "b") == set()

    run(story, LIFE)


def test_where_all_nodes_are_lost_nothing_is_evicted() -> None:
    async def story(world: World) -> None:
        add_node(world, "a")
        beat(world, "a")
        add_pod(world, "p")
        await world.settle()
        await world.advance(120, step=10)
        assert taints(world, "a") == {(UNREACHABLE, "NoSchedule")}
        assert not world.api.get(PODS, "default", "p")["metadata"].get("deletionTimestamp")

    run(story, LIFE)


def test_taints_follow_conditions_and_leave_others_alone() -> None:
    async def story(world: World) -> None:
        add_node(world, "other")
        add_node(world, "a", "False", unschedulable=True, taints=[{"key": "mine", "effect": "NoSchedule"}])
        await world.settle()
        assert taints(world, "a") == {
            ("mine", "NoSchedule"),
            (NOT_READY, "NoSchedule"),
            (NOT_READY, "NoExecute"),
            ("node.kubernetes.io/unschedulable", "NoSchedule"),
        }
        conditions = [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "True"}]
        world.api.set_status(NODES, "", "a", conditions=conditions)
        world.api.change_spec(NODES, "", "a", unschedulable=False)
        await world.settle()
        assert taints(world, "a") == {("mine", "NoSchedule"), ("node.kubernetes.io/disk-pressure", "NoSchedule")}

    run(story, LIFE)


def test_a_pod_without_tolerations_leaves_at_once_and_a_patient_one_may_stay_when_the_taint_goes() -> None:
    async def story(world: World) -> None:
        add_node(world, "a")
        add_pod(world, "now")
        add_pod(world, "later", tolerations=tolerate(20, "k"))
        await world.settle()
        stamp = timestamps.seconds(world.clock.now())
        world.api.change_spec(NODES, "", "a", taints=[{"key": "k", "effect": "NoExecute", "timeAdded": stamp}])
        await world.settle()
        assert world.api.get(PODS, "default", "now")["metadata"]["deletionTimestamp"]
        await world.advance(10)
        world.api.change_spec(NODES, "", "a", taints=[])
        await world.advance(30)
        assert not world.api.get(PODS, "default", "later")["metadata"].get("deletionTimestamp")

    run(story, (taint_eviction.CONTROLLER,))


def test_pods_of_a_node_that_is_gone_go_after_a_while() -> None:
    async def story(world: World) -> None:
        add_node(world, "a")
        add_node(world, "b")
        add_pod(world, "p")
        add_pod(world, "q", "b")
        await world.settle()
        world.api.remove(NODES, ("", "a"))
        await world.advance(30)
        assert len(world.api.list(PODS)) == 2
        await world.advance(15)
        assert [pod["metadata"]["name"] for pod in world.api.list(PODS)] == ["q"]

    run(story, (pod_gc.controller(),))


def test_pods_of_a_node_that_comes_back_stay() -> None:
    async def story(world: World) -> None:
        add_pod(world, "p")
        await world.advance(20)
        add_node(world, "a")
        await world.advance(60)
        assert len(world.api.list(PODS)) == 1

    run(story, (pod_gc.controller(),))


def test_the_oldest_ended_pods_beyond_the_limit_go() -> None:
    async def story(world: World) -> None:
        add_node(world, "a")
        for number in range(5):
            add_pod(world, f"p{number}")
            world.clock.advance(1)
        await world.settle()
        for number in range(5):
            world.api.set_status(PODS, "default", f"p{number}", phase="Succeeded")
            await world.settle()
        assert [pod["metadata"]["name"] for pod in world.api.list(PODS)] == ["p3", "p4"]

    run(story, (pod_gc.controller(2),))


def test_all_ended_pods_beyond_the_limit_go_where_many_are_found_at_once() -> None:
    async def story(world: World) -> None:
        add_node(world, "a")
        for number in range(12):
            add_pod(world, f"p{number:02}")
            world.api.set_status(PODS, "default", f"p{number:02}", phase="Failed")
            world.clock.advance(1)
        await world.settle()
        assert [pod["metadata"]["name"] for pod in world.api.list(PODS)] == ["p10", "p11"]

    run(story, (pod_gc.controller(2),))


def test_a_deleted_pod_without_a_node_is_not_waited_for() -> None:
    async def story(world: World) -> None:
        meta = {"name": "p", "namespace": "default", "deletionTimestamp": "2026-01-01T00:00:00Z"}
        world.api.put(PODS, {"metadata": meta, "spec": {}, "status": {"phase": "Pending"}})
        await world.advance(19)
        assert world.api.list(PODS)
        await world.advance(2)
        assert not world.api.list(PODS)

    run(story, (pod_gc.controller(),))


def add_zone(world: World, zone: str, lost: int, ready: int) -> None:
    for number in range(lost + ready):
        name = f"{zone}{number:02}"
        add_node(world, name, "False" if number < lost else "True")
        labels = {"topology.kubernetes.io/zone": zone, "kubernetes.io/os": "linux"}
        world.api.patch(NODES, ("", name), {"metadata": {"labels": labels}}, "application/merge-patch+json", "")


def evicted(world: World, zone: str) -> int:
    nodes = [node["metadata"]["name"] for node in world.api.list(NODES)]
    return sum((NOT_READY, "NoExecute") in taints(world, name) for name in nodes if name.startswith(zone))


def test_the_lost_nodes_of_a_zone_are_emptied_one_in_ten_seconds() -> None:
    async def story(world: World) -> None:
        add_zone(world, "a", lost=4, ready=6)
        add_zone(world, "b", lost=2, ready=2)
        await world.settle()
        seen = [(evicted(world, "a"), evicted(world, "b"))]
        for _ in range(4):
            await world.advance(10)
            seen.append((evicted(world, "a"), evicted(world, "b")))
        assert seen == [(1, 1), (2, 2), (3, 2), (4, 2), (4, 2)]

    run(story, (node_lifecycle.controller(grace=1e9),))


@pytest.mark.parametrize(("size", "after"), [(50, 0), (60, 2)])
def test_a_zone_that_lost_much_is_emptied_slowly_or_not_at_all(size: int, after: int) -> None:
    async def story(world: World) -> None:
        add_zone(world, "a", lost=40, ready=size - 40)
        await world.settle()
        await world.advance(101, step=101)
        await world.settle()
        assert evicted(world, "a") == after

    run(story, (node_lifecycle.controller(grace=1e9),))


def test_nodes_are_announced_and_old_labels_follow_new_ones() -> None:
    async def story(world: World) -> None:
        add_zone(world, "a", lost=0, ready=1)
        await world.settle()
        assert world.api.get(NODES, "", "a00")["metadata"]["labels"]["beta.kubernetes.io/os"] == "linux"
        world.api.remove(NODES, ("", "a00"))

    assert run(story, (node_lifecycle.controller(),)).notes.messages() == [
        "Normal RegisteredNode: Node a00 event: Registered Node a00 in Controller",
        "Normal RemovingNode: Node a00 event: Removing Node a00 from Controller",
    ]


def test_a_pod_whose_taint_goes_is_told_that_it_may_stay() -> None:
    async def story(world: World) -> None:
        add_node(world, "a", taints=[{"key": "k", "effect": "NoExecute"}])
        add_pod(world, "p", tolerations=tolerate(60, "k"))
        await world.advance(5)
        world.api.change_spec(NODES, "", "a", taints=[])
        await world.advance(120, 30)
        assert "deletionTimestamp" not in world.api.list(PODS)[0]["metadata"]

    told = run(story, LIFE[1:]).notes.messages()
    assert told == ["Normal TaintManagerEviction: Cancelling deletion of Pod default/p"]


def test_a_pod_that_comes_late_has_all_of_its_time_on_a_node_that_has_long_been_tainted() -> None:
    async def story(world: World) -> None:
        since = timestamps.seconds(world.clock.now())
        add_node(world, "a", taints=[{"key": "k", "effect": "NoExecute", "timeAdded": since}])
        await world.advance(1000, 500)
        add_pod(world, "p", tolerations=tolerate(60, "k"))
        await world.advance(59)
        assert "deletionTimestamp" not in world.api.list(PODS)[0]["metadata"]
        await world.advance(2)
        assert "deletionTimestamp" in world.api.list(PODS)[0]["metadata"]

    run(story, LIFE[1:])


def test_what_is_done_to_nodes_and_pods_is_counted() -> None:
    async def story(world: World) -> None:
        add_zone(world, "a", lost=1, ready=3)
        add_pod(world, "p", node="a00")
        add_pod(world, "lost", node="gone")
        await world.settle()
        await world.advance(50, 10)
        lines = [line for family in world.manager.metrics() for line in family.lines()]
        zone = 'zone=":\x00:a"'
        assert f"node_collector_evictions_total{{{zone}}} 1" in lines
        assert f"node_collector_zone_health{{{zone}}} 75" in lines
        assert f"node_collector_unhealthy_nodes_in_zone{{{zone}}} 1" in lines
        assert "taint_eviction_controller_pod_deletions_total 1" in lines
        assert 'pod_gc_collector_force_delete_pods_total{namespace="default",reason="orphaned"} 1' in lines
        assert any(line.startswith('workqueue_adds_total{name="noexec_taint_pod"}') for line in lines)

    run(story, (node_lifecycle.controller(grace=1e9), taint_eviction.CONTROLLER, pod_gc.controller()))
