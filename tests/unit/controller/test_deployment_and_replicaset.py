"""Deployment and ReplicaSet together, as the manager runs them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from tests.fakes.world import World, run

from knarr.api.registry import DEPLOYMENTS, PODS, REPLICASETS
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller import deployment
from knarr.controller.replicas import ranking, replicaset

BOTH = (deployment.CONTROLLER, replicaset.CONTROLLER)


def make_deployment(replicas: int = 3, image: str = "nginx:1", **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": make_template(image),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            **spec,
        },
    }


def make_template(image: str) -> Object:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def make_ready(world: World, *, only: int = 1000) -> None:
    for pod in [item for item in world.api.list(PODS) if not (item.get("status") or {}).get("conditions")][:only]:
        since = timestamps.seconds(world.clock.now())
        ready = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
        world.api.set_status(PODS, "default", pod["metadata"]["name"], phase="Running", conditions=ready)


def images(world: World) -> list[str]:
    return sorted(pod["spec"]["containers"][0]["image"] for pod in world.api.list(PODS))


def the_deployment(world: World) -> Object:
    return world.api.get(DEPLOYMENTS, "default", "web")


def conditions(obj: Object) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item["reason"]) for item in obj["status"]["conditions"]}


def test_a_deployment_gets_a_replica_set_and_pods() -> None:
    async def story(world: World) -> None:
        world.api.create(DEPLOYMENTS, make_deployment(2))
        await world.settle()
        (rs,) = world.api.list(REPLICASETS)
        template_hash = rs["metadata"]["labels"]["pod-template-hash"]
        assert rs["metadata"]["name"] == f"web-{template_hash}"
        assert rs["metadata"]["annotations"] == {
            "deployment.kubernetes.io/desired-replicas": "2",
            "deployment.kubernetes.io/max-replicas": "3",
            "deployment.kubernetes.io/revision": "1",
        }
        assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": template_hash}
        pods = world.api.list(PODS)
        assert [pod["metadata"]["generateName"] for pod in pods] == [f"web-{template_hash}-"] * 2
        assert pods[0]["metadata"]["labels"] == {"app": "web", "pod-template-hash": template_hash}
        status = the_deployment(world)["status"]
        assert (status["replicas"], status["unavailableReplicas"], status["observedGeneration"]) == (2, 2, 1)
        assert the_deployment(world)["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
        make_ready(world)
        await world.settle()
        assert conditions(the_deployment(world)) == {
            "Available": ("True", "MinimumReplicasAvailable"),
            "Progressing": ("True", "NewReplicaSetAvailable"),
        }

    world = run(story, BOTH)
    name = world.api.list(REPLICASETS)[0]["metadata"]["name"]
    assert f"Normal ScalingReplicaSet: Scaled up replica set {name} from 0 to 2" in world.notes.messages()
    assert sum(note.reason == "SuccessfulCreate" for note in world.notes.taken) == 2


def test_a_rollout_and_its_undoing_keep_the_history() -> None:
    async def story(world: World) -> None:
        world.api.create(DEPLOYMENTS, make_deployment(4))
        for image in ("nginx:1", "nginx:2", "nginx:1"):
            world.api.change_spec(DEPLOYMENTS, "default", "web", template=make_template(image))
            for _ in range(12):
                await world.settle()
                make_ready(world)
            assert images(world) == [image] * 4
        revisions = {
            rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["metadata"]["annotations"]
            for rs in world.api.list(REPLICASETS)
        }
        assert revisions["nginx:1"]["deployment.kubernetes.io/revision"] == "3"
        assert revisions["nginx:1"]["deployment.kubernetes.io/revision-history"] == "1"
        assert revisions["nginx:2"]["deployment.kubernetes.io/revision"] == "2"
        assert the_deployment(world)["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"

    run(story, BOTH)


def ask_back(world: World, revision: str) -> None:
    note = {"metadata": {"annotations": {"deprecated.deployment.rollback.to": revision}}}
    world.api.patch(DEPLOYMENTS, ("default", "web"), note, "application/merge-patch+json", "")


def test_a_deployment_goes_back_when_an_annotation_asks() -> None:
    async def story(world: World) -> None:
        for image in ("nginx:1", "nginx:2", "nginx:3"):
            if not world.api.list(DEPLOYMENTS):
                world.api.create(DEPLOYMENTS, make_deployment(0, image))
            world.api.change_spec(DEPLOYMENTS, "default", "web", template=make_template(image))
            await world.settle()
        for revision, image in (("0", "nginx:2"), ("1", "nginx:1"), ("77", "nginx:1"), ("5", "nginx:1")):
            ask_back(world, revision)
            await world.settle()
            found = the_deployment(world)
            assert found["spec"]["template"] == make_template(image)
            assert "deprecated.deployment.rollback.to" not in found["metadata"]["annotations"]

    assert [message for message in run(story, BOTH).notes.messages() if "ollback" in message] == [
        'Normal DeploymentRollback: Rolled back deployment "web" to revision 2',
        'Normal DeploymentRollback: Rolled back deployment "web" to revision 1',
        "Warning DeploymentRollbackRevisionNotFound: Unable to find the revision to rollback to.",
        "Warning DeploymentRollbackTemplateUnchanged: The rollback revision contains the same template as current "
        'deployment "web"',
    ]


def test_recreating_waits_for_the_last_old_pod() -> None:
    async def story(world: World) -> None:
        world.api.create(DEPLOYMENTS, make_deployment(2, strategy={"type": "Recreate"}))
        await world.settle()
        for pod in list(world.api.list(PODS)):
            world.api.update(PODS, {**pod, "spec": {**pod["spec"], "nodeName": "n"}})
        make_ready(world)
        await world.settle()
        world.api.change_spec(DEPLOYMENTS, "default", "web", template=make_template("nginx:2"))
        await world.settle()
        assert images(world) == ["nginx:1"] * 2
        for pod in list(world.api.list(PODS)):
            assert pod["metadata"]["deletionTimestamp"]
            world.api.remove(PODS, ("default", pod["metadata"]["name"]))
        await world.settle()
        assert images(world) == ["nginx:2"] * 2

    run(story, BOTH)


def test_a_scaled_deployment_grows_and_shrinks() -> None:
    async def story(world: World) -> None:
        world.api.create(DEPLOYMENTS, make_deployment(2))
        for size in (5, 1, 0, 3):
            world.api.change_spec(DEPLOYMENTS, "default", "web", replicas=size)
            await world.settle()
            assert len(world.api.list(PODS)) == size

    run(story, BOTH)


def test_scaling_in_the_middle_of_a_rollout_is_proportional() -> None:
    async def story(world: World) -> None:
        world.api.create(DEPLOYMENTS, make_deployment(10))
        await world.settle()
        make_ready(world)
        await world.settle()
        world.api.change_spec(DEPLOYMENTS, "default", "web", template=make_template("nginx:2"))
        await world.settle()
        assert sorted(rs["spec"]["replicas"] for rs in world.api.list(REPLICASETS)) == [5, 8]
        world.api.change_spec(DEPLOYMENTS, "default", "web", replicas=20)
        await world.settle()
        assert sorted(rs["spec"]["replicas"] for rs in world.api.list(REPLICASETS)) == [10, 15]

    run(story, BOTH)


def test_a_paused_deployment_changes_nothing_but_its_size() -> None:
    async def story(world: World) -> None:
        world.api.create(DEPLOYMENTS, make_deployment(2))
        await world.settle()
        world.api.change_spec(DEPLOYMENTS, "default", "web", paused=True, template=make_template("nginx:2"), replicas=3)
        await world.settle()
        assert images(world) == ["nginx:1"] * 3
        assert conditions(the_deployment(world))["Progressing"] == ("Unknown", "DeploymentPaused")
        world.api.change_spec(DEPLOYMENTS, "default", "web", paused=False)
        for _ in range(10):
            await world.settle()
            make_ready(world)
        assert images(world) == ["nginx:2"] * 3

    run(story, BOTH)


def test_no_progress_within_the_deadline_is_told() -> None:
    async def story(world: World) -> None:
        world.api.create(DEPLOYMENTS, make_deployment(2, progressDeadlineSeconds=30))
        await world.settle()
        await world.advance(40, step=10)
        assert conditions(the_deployment(world))["Progressing"] == ("False", "ProgressDeadlineExceeded")

    run(story, BOTH)


def test_the_history_is_cut() -> None:
    async def story(world: World) -> None:
        world.api.create(DEPLOYMENTS, make_deployment(1, revisionHistoryLimit=1))
        for number in range(1, 5):
            world.api.change_spec(DEPLOYMENTS, "default", "web", template=make_template(f"nginx:{number}"))
            for _ in range(6):
                await world.settle()
                make_ready(world)
        assert len(world.api.list(REPLICASETS)) == 2

    run(story, BOTH)


def test_a_name_taken_by_another_is_a_collision() -> None:
    async def story(world: World) -> None:
        world.api.create(DEPLOYMENTS, make_deployment(1))
        await world.settle()
        name = world.api.list(REPLICASETS)[0]["metadata"]["name"]
        world.api.remove(DEPLOYMENTS, ("default", "web"))
        world.api.remove(REPLICASETS, ("default", name))
        other: Object = {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": 0, "selector": {}, "template": {}},
        }
        other["spec"]["selector"] = {"matchLabels": {"x": "y"}}
        world.api.create(REPLICASETS, other)
        await world.settle()
        world.api.create(DEPLOYMENTS, make_deployment(1))
        await world.settle()
        assert the_deployment(world)["status"]["collisionCount"] == 1
        assert len(world.api.list(REPLICASETS)) == 2

    run(story, BOTH)


def test_an_orphan_is_adopted_and_a_stranger_released() -> None:
    async def story(world: World) -> None:
        pod = {
            "metadata": {"name": "stray", "namespace": "default", "labels": {"app": "web"}},
            "spec": {"containers": []},
        }
        world.api.create(PODS, pod)
        selector = {"matchLabels": {"app": "web"}}
        rs: Object = {"metadata": {"name": "rs", "namespace": "default"}, "spec": {"replicas": 2, "selector": selector}}
        rs["spec"]["template"] = make_template("nginx:1")
        world.api.create(REPLICASETS, rs)
        await world.settle()
        pods = world.api.list(PODS)
        assert len(pods) == 2
        owned = world.api.get(PODS, "default", "stray")
        assert owned["metadata"]["ownerReferences"][0]["name"] == "rs"
        world.api.update(PODS, {**owned, "metadata": {**owned["metadata"], "labels": {"app": "other"}}})
        await world.settle()
        assert not world.api.get(PODS, "default", "stray")["metadata"].get("ownerReferences")
        assert len(world.api.list(PODS)) == 3

    run(story, BOTH)


def counted(name: str, restarts: int, sidecar: int, init: int) -> Object:
    states = [{"name": "side", "restartCount": sidecar}, {"name": "init", "restartCount": init}]
    spec = {"nodeName": "n", "initContainers": [{"name": "side", "restartPolicy": "Always"}, {"name": "init"}]}
    status = {"phase": "Running", "containerStatuses": [{"restartCount": restarts}], "initContainerStatuses": states}
    return {"metadata": {"name": name, "uid": name}, "spec": spec, "status": status}


def test_of_like_pods_those_go_first_whose_containers_and_then_sidecars_restart_most() -> None:
    pods = [counted("a", 1, 0, 9), counted("b", 1, 3, 0), counted("c", 2, 0, 0)]
    ordered = ranking.ranked(pods, Counter(n=3), datetime(2026, 1, 1, tzinfo=UTC))
    assert [pod["metadata"]["name"] for pod in ordered] == ["c", "b", "a"]
