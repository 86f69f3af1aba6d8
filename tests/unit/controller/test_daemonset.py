"""DaemonSets, as the manager runs them."""

from __future__ import annotations

from typing import Any

from tests.fakes.world import World, run

from knarr.api.registry import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS
from knarr.api.semantics import pod_templates
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller import daemonset
from knarr.controller.daemonset import placement

ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
SURGING = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def one() -> tuple[Any, ...]:
    return (daemonset.controller(),)


def make_set(image: str = "nginx:1", pod: Object | None = None, **spec: Any) -> Object:
    annotations = {"deprecated.daemonset.template.generation": "1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "default", "annotations": annotations},
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}},
            "template": make_template(image, **(pod or {})),
            "updateStrategy": ROLLING,
            "revisionHistoryLimit": 10,
            **spec,
        },
    }


def make_template(image: str, **pod: Any) -> Object:
    spec = {"containers": [{"name": "c", "image": image}], **pod}
    return {"metadata": {"labels": {"app": "agent"}}, "spec": spec}


def add_nodes(world: World, *names: str, labels: Object | None = None, **spec: Any) -> None:
    for name in names:
        world.api.put(NODES, {"metadata": {"name": name, "labels": labels or {}}, "spec": spec, "status": {}})


def work(world: World) -> None:
    """Scheduler and kubelet: what is deleted is gone, what is new is bound and runs."""
    for pod in list(world.api.list(PODS)):
        name = pod["metadata"]["name"]
        if pod["metadata"].get("deletionTimestamp"):
            world.api.remove(PODS, ("default", name))
        elif not (pod.get("status") or {}).get("conditions"):
            world.api.change_spec(PODS, "default", name, nodeName=placement.target(pod))
            ready = [{"type": "Ready", "status": "True", "lastTransitionTime": timestamps.seconds(world.clock.now())}]
            world.api.set_status(PODS, "default", name, phase="Running", conditions=ready)


async def settle_work(world: World, rounds: int = 20) -> None:
    for _ in range(rounds):
        await world.settle()
        work(world)
    await world.settle()


def where(world: World) -> dict[str, str]:
    """Images by node."""
    return {placement.target(pod): pod["spec"]["containers"][0]["image"] for pod in world.api.list(PODS)}


def status(world: World) -> Object:
    found: Object = world.api.get(DAEMONSETS, "default", "agent")["status"]
    return found


def test_every_node_gets_a_pod_that_is_bound_to_it() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a", "b")
        world.api.create(DAEMONSETS, make_set())
        await world.settle()
        assert sorted(where(world)) == ["a", "b"]
        hashed = pod_templates.template_hash(make_template("nginx:1"))
        for pod in world.api.list(PODS):
            assert pod["metadata"]["generateName"] == "agent-"
            assert pod["metadata"]["labels"] == {
                "app": "agent",
                "controller-revision-hash": hashed,
                "pod-template-generation": "1",
            }
            assert [(item["key"].rpartition("/")[2], item["effect"]) for item in pod["spec"]["tolerations"]] == [
                ("not-ready", "NoExecute"),
                ("unreachable", "NoExecute"),
                ("disk-pressure", "NoSchedule"),
                ("memory-pressure", "NoSchedule"),
                ("pid-pressure", "NoSchedule"),
                ("unschedulable", "NoSchedule"),
            ]
        await settle_work(world)
        assert status(world) == {
            "currentNumberScheduled": 2,
            "desiredNumberScheduled": 2,
            "numberAvailable": 2,
            "numberMisscheduled": 0,
            "numberReady": 2,
            "updatedNumberScheduled": 2,
            "observedGeneration": 1,
        }
        (revision,) = world.api.list(CONTROLLERREVISIONS)
        assert (revision["metadata"]["name"], revision["revision"]) == (f"agent-{hashed}", 1)
        assert revision["metadata"]["labels"] == {"app": "agent", "controller-revision-hash": hashed}
        assert revision["metadata"]["annotations"] == {"deprecated.daemonset.template.generation": "1"}
        assert revision["data"] == {"spec": {"template": {**make_template("nginx:1"), "$patch": "replace"}}}

    run(story, one())


def test_pods_follow_nodes() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a")
        world.api.create(DAEMONSETS, make_set(pod={"nodeSelector": {"disk": "ssd"}}))
        await settle_work(world)
        assert where(world) == {}
        assert status(world)["desiredNumberScheduled"] == 0
        add_nodes(world, "b", labels={"disk": "ssd"})
        node = world.api.get(NODES, "", "a")
        world.api.update(NODES, {**node, "metadata": {**node["metadata"], "labels": {"disk": "ssd"}}})
        await settle_work(world)
        assert sorted(where(world)) == ["a", "b"]
        node = world.api.get(NODES, "", "a")
        world.api.update(NODES, {**node, "metadata": {**node["metadata"], "labels": {}}})
        await settle_work(world)
        assert sorted(where(world)) == ["b"]

    run(story, one())


def test_taints_keep_pods_away_and_only_no_execute_sends_them_off() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "tainted", taints=[{"key": "k", "effect": "NoSchedule"}])
        add_nodes(world, "cordoned", taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}])
        add_nodes(world, "free")
        world.api.create(DAEMONSETS, make_set())
        await settle_work(world)
        assert sorted(where(world)) == ["cordoned", "free"]
        for effect, left in (("NoSchedule", ["cordoned", "free"]), ("NoExecute", ["cordoned"])):
            world.api.change_spec(NODES, "", "free", taints=[{"key": "k", "effect": effect}])
            await settle_work(world)
            assert sorted(where(world)) == left
        assert status(world)["numberMisscheduled"] == 0

    run(story, one())


def test_a_pod_that_may_stay_where_none_should_run_counts_as_misplaced() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a")
        world.api.create(DAEMONSETS, make_set())
        await settle_work(world)
        world.api.change_spec(NODES, "", "a", taints=[{"key": "k", "effect": "NoSchedule"}])
        await settle_work(world)
        assert (status(world)["numberMisscheduled"], status(world)["desiredNumberScheduled"]) == (1, 0)

    run(story, one())


def test_a_deleted_pod_is_replaced_when_it_is_gone() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a")
        world.api.create(DAEMONSETS, make_set())
        await settle_work(world)
        (pod,) = world.api.list(PODS)
        world.api.delete(PODS, ("default", pod["metadata"]["name"]), {})
        await world.settle()
        assert len(world.api.list(PODS)) == 1
        work(world)
        await world.settle()
        (fresh,) = world.api.list(PODS)
        assert fresh["metadata"]["uid"] != pod["metadata"]["uid"]

    run(story, one())


def test_a_rolling_update_leaves_as_few_nodes_without_as_allowed() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a", "b", "c")
        world.api.create(DAEMONSETS, make_set())
        await settle_work(world)
        world.api.change_spec(DAEMONSETS, "default", "agent", template=make_template("nginx:2"))
        for _ in range(3):
            await world.settle()
            assert sum("deletionTimestamp" in pod["metadata"] for pod in world.api.list(PODS)) == 1
            work(world)
            await world.settle()
            assert sum(not (pod.get("status") or {}).get("conditions") for pod in world.api.list(PODS)) == 1
            work(world)
        await settle_work(world)
        assert set(where(world).values()) == {"nginx:2"}
        assert sorted(item["revision"] for item in world.api.list(CONTROLLERREVISIONS)) == [1, 2]

    run(story, one())


def test_a_surging_update_starts_the_new_pod_first() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a", "b")
        world.api.create(DAEMONSETS, make_set(updateStrategy=SURGING))
        await settle_work(world)
        world.api.change_spec(DAEMONSETS, "default", "agent", template=make_template("nginx:2"))
        for _ in range(20):
            await world.settle()
            ready = [pod for pod in world.api.list(PODS) if (pod.get("status") or {}).get("conditions")]
            assert len({placement.target(pod) for pod in ready if "deletionTimestamp" not in pod["metadata"]}) == 2
            assert len(world.api.list(PODS)) <= 4
            work(world)
        assert set(where(world).values()) == {"nginx:2"}
        assert len(world.api.list(PODS)) == 2

    run(story, one())


def test_on_delete_replaces_only_what_is_deleted() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a", "b")
        world.api.create(DAEMONSETS, make_set(updateStrategy={"type": "OnDelete"}))
        await settle_work(world)
        world.api.change_spec(DAEMONSETS, "default", "agent", template=make_template("nginx:2"))
        await settle_work(world)
        assert where(world) == {"a": "nginx:1", "b": "nginx:1"}
        assert status(world).get("updatedNumberScheduled", 0) == 0
        name = next(pod["metadata"]["name"] for pod in world.api.list(PODS) if placement.target(pod) == "a")
        world.api.delete(PODS, ("default", name), {})
        await settle_work(world)
        assert where(world) == {"a": "nginx:2", "b": "nginx:1"}

    run(story, one())


def test_going_back_leaves_pods_of_that_template_alone() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a", "b")
        world.api.create(DAEMONSETS, make_set())
        await settle_work(world)
        uids = {placement.target(pod): pod["metadata"]["uid"] for pod in world.api.list(PODS)}
        world.api.change_spec(DAEMONSETS, "default", "agent", template=make_template("broken"))
        await world.settle()
        (going,) = [placement.target(pod) for pod in world.api.list(PODS) if pod["metadata"].get("deletionTimestamp")]
        work(world)
        await world.settle()
        world.api.change_spec(DAEMONSETS, "default", "agent", template=make_template("nginx:1"))
        await settle_work(world)
        after = {placement.target(pod): pod["metadata"]["uid"] for pod in world.api.list(PODS)}
        assert {node for node in uids if uids[node] != after[node]} == {going}
        assert sorted(item["revision"] for item in world.api.list(CONTROLLERREVISIONS)) == [2, 3]

    run(story, one())


def test_failed_pods_are_replaced_with_growing_patience() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a")
        world.api.create(DAEMONSETS, make_set())
        replaced = []
        for _ in range(60):
            await world.settle()
            for pod in list(world.api.list(PODS)):
                if (pod.get("status") or {}).get("phase") != "Failed":
                    replaced.append(pod["metadata"]["uid"])
                    world.api.set_status(PODS, "default", pod["metadata"]["name"], phase="Failed")
            await world.advance(1)
        assert 5 <= len(set(replaced)) <= 8

    world = run(story, one())
    assert any("FailedDaemonPod: Found failed daemon pod default/agent-" in text for text in world.notes.messages())


def test_succeeded_pods_are_replaced() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a")
        world.api.create(DAEMONSETS, make_set())
        await settle_work(world)
        (pod,) = world.api.list(PODS)
        world.api.set_status(PODS, "default", pod["metadata"]["name"], phase="Succeeded")
        await settle_work(world)
        (fresh,) = world.api.list(PODS)
        assert fresh["metadata"]["uid"] != pod["metadata"]["uid"]

    world = run(story, one())
    assert any(text.startswith("Normal SucceededDaemonPod: Found succeeded") for text in world.notes.messages())


def test_pods_for_a_node_that_is_gone_are_deleted_unless_bound() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a")
        world.api.create(DAEMONSETS, make_set())
        await world.settle()
        world.api.remove(NODES, ("", "a"))
        await world.settle()
        assert world.api.list(PODS) == []

    run(story, one())


def test_pods_must_be_ready_for_a_while_before_the_next_node() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a", "b")
        world.api.create(DAEMONSETS, make_set(minReadySeconds=10))
        await settle_work(world)
        assert (status(world)["numberReady"], status(world)["numberUnavailable"]) == (2, 2)
        await world.advance(11)
        assert status(world)["numberAvailable"] == 2

    run(story, one())


def test_two_revisions_of_one_template_become_one() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a")
        world.api.create(DAEMONSETS, make_set())
        await settle_work(world)
        (first,) = world.api.list(CONTROLLERREVISIONS)
        labels = {"app": "agent", "controller-revision-hash": "other"}
        meta = {"name": "double", "namespace": "default", "labels": labels}
        world.api.create(CONTROLLERREVISIONS, {"metadata": meta, "data": first["data"], "revision": 5})
        await settle_work(world)
        (left,) = world.api.list(CONTROLLERREVISIONS)
        assert left["metadata"]["name"] == "double"
        assert left["metadata"]["ownerReferences"][0]["name"] == "agent"
        (pod,) = world.api.list(PODS)
        assert pod["metadata"]["labels"]["controller-revision-hash"] == "other"

    run(story, one())


def test_a_taken_name_of_a_revision_is_counted() -> None:
    async def story(world: World) -> None:
        hashed = pod_templates.template_hash(make_template("nginx:1"))
        foreign = {"metadata": {"name": f"agent-{hashed}", "namespace": "default"}, "data": {}, "revision": 1}
        world.api.create(CONTROLLERREVISIONS, foreign)
        add_nodes(world, "a")
        world.api.create(DAEMONSETS, make_set())
        await settle_work(world)
        assert status(world)["collisionCount"] == 1
        (pod,) = world.api.list(PODS)
        assert pod["metadata"]["labels"]["controller-revision-hash"] != hashed

    run(story, one())


def test_orphans_are_adopted_and_old_revisions_go() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a")
        meta = {"name": "stray", "namespace": "default", "labels": {"app": "agent"}}
        spec = {"nodeName": "a", "containers": [{"name": "c", "image": "nginx:0"}]}
        world.api.create(PODS, {"metadata": meta, "spec": spec})
        world.api.create(DAEMONSETS, make_set(revisionHistoryLimit=1, updateStrategy={"type": "OnDelete"}))
        await settle_work(world)
        (pod,) = world.api.list(PODS)
        assert (pod["metadata"]["name"], pod["metadata"]["ownerReferences"][0]["kind"]) == ("stray", "DaemonSet")
        for image in ("nginx:2", "nginx:3", "nginx:4"):
            world.api.change_spec(DAEMONSETS, "default", "agent", template=make_template(image))
            await settle_work(world)
        assert sorted(item["revision"] for item in world.api.list(CONTROLLERREVISIONS)) == [3, 4]

    run(story, one())


def test_a_set_that_selects_everything_only_complains() -> None:
    async def story(world: World) -> None:
        add_nodes(world, "a")
        world.api.create(DAEMONSETS, make_set(selector={}))
        await world.settle()
        assert world.api.list(PODS) == []

    world = run(story, one())
    assert world.notes.messages() == [
        "Warning SelectingAll: This daemon set is selecting all pods. A non-empty selector is required."
    ]


def test_own_tolerations_and_affinity_are_kept_and_overridden_where_they_must() -> None:
    given = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    found = placement.tolerated({"tolerations": [given, {"operator": "Exists"}], "hostNetwork": True})
    assert found[0] == {"key": given["key"], "operator": "Exists", "effect": "NoExecute"}
    assert found[1] == {"operator": "Exists"}
    assert found[-1]["key"] == "node.kubernetes.io/network-unavailable"
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {}}]}
    bound = placement.bound_to({"affinity": {"podAffinity": {"x": 1}, "nodeAffinity": preferred}}, "n")
    assert bound["podAffinity"] == {"x": 1}
    assert set(bound["nodeAffinity"]) == {
        "preferredDuringSchedulingIgnoredDuringExecution",
        "requiredDuringSchedulingIgnoredDuringExecution",
    }
    assert placement.target({"spec": {"affinity": bound}}) == "n"
    assert placement.target({"spec": {}}) == ""
