"""StatefulSets, as the manager runs them."""

from __future__ import annotations

from typing import Any

from tests.fakes.world import World, run

from knarr.api.registry import CONTROLLERREVISIONS, PODS, PVCS, STATEFULSETS
from knarr.api.semantics import revisions
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller import statefulset
from knarr.controller.statefulset import identity

ONE = (statefulset.CONTROLLER,)
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}


def make_set(replicas: int = 3, image: str = "nginx:1", **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "serviceName": "headless",
            "selector": {"matchLabels": {"app": "db"}},
            "template": make_template(image),
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": ROLLING,
            "revisionHistoryLimit": 10,
            **spec,
        },
    }


def make_template(image: str) -> Object:
    return {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def make_claim_template(name: str = "data") -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def make_ready(world: World, *names: str) -> None:
    """The kubelet: what is deleted is gone, what is new runs. Without names: all pods."""
    for pod in list(world.api.list(PODS)):
        name = pod["metadata"]["name"]
        if names and name not in names:
            continue
        if pod["metadata"].get("deletionTimestamp"):
            world.api.remove(PODS, ("default", name))
        elif not (pod.get("status") or {}).get("conditions"):
            since = timestamps.seconds(world.clock.now())
            ready = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
            world.api.change_spec(PODS, "default", name, nodeName="n")
            world.api.set_status(PODS, "default", name, phase="Running", conditions=ready)


async def settle_ready(world: World, rounds: int = 20) -> None:
    for _ in range(rounds):
        await world.settle()
        make_ready(world)
    await world.settle()


def names(world: World) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in world.api.list(PODS))


def images(world: World) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in world.api.list(PODS)}


def the_set(world: World) -> Object:
    return world.api.get(STATEFULSETS, "default", "db")


def claims(world: World) -> dict[str, Object]:
    return {claim["metadata"]["name"]: claim for claim in world.api.list(PVCS)}


def owner_kinds(claim: Object) -> list[str]:
    return [ref["kind"] for ref in claim["metadata"].get("ownerReferences") or ()]


def test_pods_come_one_by_one_with_their_identity() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(2))
        await world.settle()
        assert names(world) == ["db-0"]
        make_ready(world)
        await world.settle()
        assert names(world) == ["db-0", "db-1"]
        await settle_ready(world)
        assert names(world) == ["db-0", "db-1"]
        (revision,) = world.api.list(CONTROLLERREVISIONS)
        pod = world.api.get(PODS, "default", "db-1")
        assert pod["metadata"]["labels"] == {
            "app": "db",
            "statefulset.kubernetes.io/pod-name": "db-1",
            "apps.kubernetes.io/pod-index": "1",
            "controller-revision-hash": revision["metadata"]["name"],
        }
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-1", "headless")
        assert pod["metadata"]["generateName"] == "db-"
        assert the_set(world)["status"] == {
            "replicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
            "currentReplicas": 2,
            "updatedReplicas": 2,
            "currentRevision": revision["metadata"]["name"],
            "updateRevision": revision["metadata"]["name"],
            "collisionCount": 0,
            "observedGeneration": 1,
        }

    world = run(story, ONE)
    assert world.notes.messages() == [
        "Normal SuccessfulCreate: create Pod db-0 in StatefulSet db successful",
        "Normal SuccessfulCreate: create Pod db-1 in StatefulSet db successful",
    ]


def test_a_revision_is_named_and_labelled_by_its_hash() -> None:
    async def story(world: World) -> None:
        made = make_set(1)
        made["metadata"]["annotations"] = {"note": "it"}
        world.api.create(STATEFULSETS, made)
        await world.settle()
        (revision,) = world.api.list(CONTROLLERREVISIONS)
        data = {"spec": {"template": {**make_template("nginx:1"), "$patch": "replace"}}}
        hashed = revisions.revision_hash(data, 0)
        assert (revision["data"], revision["revision"]) == (data, 1)
        assert revision["metadata"]["name"] == f"db-{hashed}"
        assert revision["metadata"]["labels"] == {"app": "db", "controller.kubernetes.io/hash": hashed}
        assert revision["metadata"]["annotations"] == {"note": "it"}
        assert revision["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet"

    run(story, ONE)


def test_parallel_pods_come_and_go_together() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(4, podManagementPolicy="Parallel", ordinals={"start": 5}))
        await world.settle()
        assert names(world) == ["db-5", "db-6", "db-7", "db-8"]
        world.api.change_spec(STATEFULSETS, "default", "db", replicas=1)
        await world.settle()
        assert names(world) == ["db-5"]

    run(story, ONE)


def test_scaling_down_goes_from_the_last_and_waits_for_each() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(3))
        await settle_ready(world)
        world.api.change_spec(STATEFULSETS, "default", "db", replicas=0)
        await world.settle()
        going = [pod["metadata"]["name"] for pod in world.api.list(PODS) if pod["metadata"].get("deletionTimestamp")]
        assert going == ["db-2"]
        await settle_ready(world)
        assert names(world) == []

    run(story, ONE)


def test_scaling_waits_while_a_pod_that_stays_is_not_ready() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(3))
        await settle_ready(world)
        world.api.set_status(PODS, "default", "db-0", conditions=[{"type": "Ready", "status": "False"}])
        world.api.change_spec(STATEFULSETS, "default", "db", replicas=1)
        await world.settle()
        assert not any(pod["metadata"].get("deletionTimestamp") for pod in world.api.list(PODS))
        world.api.set_status(PODS, "default", "db-0", conditions=[])
        await settle_ready(world)
        assert names(world) == ["db-0"]

    run(story, ONE)


def test_a_rollout_goes_down_the_ordinals_and_keeps_below_the_partition() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(3, updateStrategy=_partition(2)))
        await settle_ready(world)
        first = the_set(world)["status"]["currentRevision"]
        world.api.change_spec(STATEFULSETS, "default", "db", template=make_template("nginx:2"))
        await settle_ready(world)
        assert images(world) == {"db-0": "nginx:1", "db-1": "nginx:1", "db-2": "nginx:2"}
        status = the_set(world)["status"]
        assert (status["currentRevision"], status["currentReplicas"], status["updatedReplicas"]) == (first, 2, 1)
        world.api.delete(PODS, ("default", "db-0"), {})
        await settle_ready(world)
        assert images(world)["db-0"] == "nginx:1"
        world.api.change_spec(STATEFULSETS, "default", "db", updateStrategy=_partition(0))
        await settle_ready(world)
        assert set(images(world).values()) == {"nginx:2"}
        status = the_set(world)["status"]
        assert status["currentRevision"] == status["updateRevision"] != first
        assert status["currentReplicas"] == 3

    run(story, ONE)


def test_a_rollout_never_takes_two_at_once() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(3, podManagementPolicy="Parallel"))
        await settle_ready(world)
        world.api.change_spec(STATEFULSETS, "default", "db", template=make_template("nginx:2"))
        for left in ("db-2", "db-1", "db-0"):
            await world.settle()
            going = [
                pod["metadata"]["name"] for pod in world.api.list(PODS) if pod["metadata"].get("deletionTimestamp")
            ]
            assert going == [left]
            make_ready(world)
            await world.settle()
            make_ready(world)

    run(story, ONE)


def test_a_template_that_comes_back_is_its_old_revision() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(1))
        await settle_ready(world)
        first = the_set(world)["status"]["updateRevision"]
        for image in ("nginx:2", "nginx:1"):
            world.api.change_spec(STATEFULSETS, "default", "db", template=make_template(image))
            await settle_ready(world)
        assert the_set(world)["status"]["updateRevision"] == first
        numbers = {item["metadata"]["name"]: item["revision"] for item in world.api.list(CONTROLLERREVISIONS)}
        assert numbers.pop(first) == 3
        assert list(numbers.values()) == [2]

    run(story, ONE)


def test_old_revisions_go_but_those_of_pods() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(1, revisionHistoryLimit=1))
        for image in ("nginx:1", "nginx:2", "nginx:3", "nginx:4"):
            world.api.change_spec(STATEFULSETS, "default", "db", template=make_template(image))
            await settle_ready(world)
        assert sorted(item["revision"] for item in world.api.list(CONTROLLERREVISIONS)) == [3, 4]

    run(story, ONE)


def test_a_taken_name_of_a_revision_is_counted() -> None:
    async def story(world: World) -> None:
        hashed = revisions.revision_hash(revisions.data_of(make_template("nginx:1")), 0)
        foreign = {"metadata": {"name": f"db-{hashed}", "namespace": "default"}, "data": {"other": 1}, "revision": 1}
        world.api.create(CONTROLLERREVISIONS, foreign)
        world.api.create(STATEFULSETS, make_set(1))
        await settle_ready(world)
        status = the_set(world)["status"]
        assert status["collisionCount"] == 1
        assert status["updateRevision"] != f"db-{hashed}"
        assert len(world.api.list(CONTROLLERREVISIONS)) == 2

    run(story, ONE)


def test_failed_and_succeeded_pods_are_made_anew() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(2))
        await settle_ready(world)
        for phase in ("Failed", "Succeeded"):
            before = world.api.get(PODS, "default", "db-0")["metadata"]["uid"]
            world.api.set_status(PODS, "default", "db-0", phase=phase)
            await settle_ready(world)
            after = world.api.get(PODS, "default", "db-0")
            assert after["metadata"]["uid"] != before
            assert after["status"]["phase"] == "Running"

    run(story, ONE)


def test_on_delete_replaces_only_what_is_deleted() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(2, updateStrategy={"type": "OnDelete"}))
        await settle_ready(world)
        world.api.change_spec(STATEFULSETS, "default", "db", template=make_template("nginx:2"))
        await settle_ready(world)
        assert set(images(world).values()) == {"nginx:1"}
        world.api.delete(PODS, ("default", "db-0"), {})
        await settle_ready(world)
        assert images(world) == {"db-0": "nginx:2", "db-1": "nginx:1"}

    run(story, ONE)


def test_pods_must_be_ready_for_a_while() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(2, minReadySeconds=10))
        await world.settle()
        make_ready(world)
        await world.settle()
        assert names(world) == ["db-0"]
        assert the_set(world)["status"]["readyReplicas"] == 1
        assert the_set(world)["status"]["availableReplicas"] == 0
        await world.advance(11)
        assert names(world) == ["db-0", "db-1"]

    run(story, ONE)


def test_claims_are_made_of_templates_and_outlive_their_pods() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(2, volumeClaimTemplates=[make_claim_template()]))
        await settle_ready(world)
        assert sorted(claims(world)) == ["data-db-0", "data-db-1"]
        assert claims(world)["data-db-0"]["metadata"]["labels"] == {"app": "db"}
        assert world.api.get(PODS, "default", "db-1")["spec"]["volumes"] == [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1"}}
        ]
        world.api.change_spec(STATEFULSETS, "default", "db", replicas=0)
        await settle_ready(world)
        assert sorted(claims(world)) == ["data-db-0", "data-db-1"]
        assert all(owner_kinds(claim) == [] for claim in claims(world).values())

    world = run(story, ONE)
    told = "Normal SuccessfulCreate: create Claim data-db-0 Pod db-0 in StatefulSet db success"
    assert world.notes.messages()[0] == told


def test_claims_are_owned_as_the_retention_policy_says() -> None:
    async def story(world: World) -> None:
        policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
        template = [make_claim_template()]
        world.api.create(
            STATEFULSETS, make_set(2, volumeClaimTemplates=template, persistentVolumeClaimRetentionPolicy=policy)
        )
        await settle_ready(world)
        assert [owner_kinds(claim) for claim in claims(world).values()] == [["StatefulSet"]] * 2
        world.api.change_spec(STATEFULSETS, "default", "db", replicas=1)
        await world.settle()
        assert owner_kinds(claims(world)["data-db-1"]) == ["Pod"]
        # Asked for again before the collector has taken the old claim: the pod waits for a new one.
        await settle_ready(world)
        world.api.change_spec(STATEFULSETS, "default", "db", replicas=2)
        await settle_ready(world)
        assert names(world) == ["db-0"]
        world.api.remove(PVCS, ("default", "data-db-1"))
        await settle_ready(world)
        assert names(world) == ["db-0", "db-1"]
        retain = {"whenDeleted": "Retain", "whenScaled": "Retain"}
        world.api.change_spec(STATEFULSETS, "default", "db", persistentVolumeClaimRetentionPolicy=retain)
        await world.settle()
        assert [owner_kinds(claim) for claim in claims(world).values()] == [[], []]

    run(story, ONE)


def test_a_claim_that_is_going_holds_its_pod_up() -> None:
    async def story(world: World) -> None:
        claim = make_claim_template("data-db-0")
        claim["metadata"] |= {"namespace": "default", "finalizers": ["f"]}
        world.api.create(PVCS, claim)
        world.api.delete(PVCS, ("default", "data-db-0"), {})
        world.api.create(STATEFULSETS, make_set(1, volumeClaimTemplates=[make_claim_template()]))
        await world.settle()
        assert names(world) == []
        world.api.remove(PVCS, ("default", "data-db-0"))
        await world.settle()
        assert names(world) == ["db-0"]

    world = run(story, ONE)
    failed = "Warning FailedCreate: create Pod db-0 in StatefulSet db failed error: pvc data-db-0 is being deleted"
    assert failed in world.notes.messages()


def test_orphans_with_the_sets_name_are_adopted_and_others_let_go() -> None:
    async def story(world: World) -> None:
        spec = {"containers": [{"name": "c", "image": "nginx:1"}]}
        for name in ("db-0", "other-0"):
            meta = {"name": name, "namespace": "default", "labels": {"app": "db"}}
            world.api.create(PODS, {"metadata": meta, "spec": spec})
        world.api.create(STATEFULSETS, make_set(1))
        await settle_ready(world)
        adopted = world.api.get(PODS, "default", "db-0")
        assert adopted["metadata"]["ownerReferences"][0]["name"] == "db"
        assert adopted["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "db-0"
        assert not world.api.get(PODS, "default", "other-0")["metadata"].get("ownerReferences")

    run(story, ONE)


def test_a_foreign_pod_with_the_name_of_an_ordinal_is_waited_for() -> None:
    async def story(world: World) -> None:
        spec = {"containers": [{"name": "c", "image": "nginx:1"}]}
        world.api.create(PODS, {"metadata": {"name": "db-0", "namespace": "default"}, "spec": spec})
        world.api.create(STATEFULSETS, make_set(2))
        await settle_ready(world)
        assert names(world) == ["db-0"]
        world.api.remove(PODS, ("default", "db-0"))
        await settle_ready(world)
        assert names(world) == ["db-0", "db-1"]

    run(story, ONE)


def test_nothing_is_made_for_a_set_that_goes() -> None:
    async def story(world: World) -> None:
        made = make_set(2)
        made["metadata"] |= {"finalizers": ["foregroundDeletion"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
        world.api.create(STATEFULSETS, made)
        await world.settle()
        assert (names(world), world.api.list(CONTROLLERREVISIONS)) == ([], [])

    run(story, ONE)


def test_names_are_parted_into_set_and_ordinal() -> None:
    assert identity.parted("a-b-12") == ("a-b", 12)
    assert identity.parted("a-2147483648") == ("a", -1)
    assert identity.parted("a-07") == ("a", -1)
    assert identity.parted("a") == identity.parted("a-x") == ("", -1)


def _partition(number: int) -> Object:
    return {"type": "RollingUpdate", "rollingUpdate": {"partition": number}}


def test_a_broken_rollout_in_order_waits_for_a_hand() -> None:
    """As documented: going back to a good template does not replace the broken pod; deleting it does."""

    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(2))
        await settle_ready(world)
        world.api.change_spec(STATEFULSETS, "default", "db", template=make_template("broken"))
        await world.settle()
        make_ready(world, "db-1")
        await world.settle()
        world.api.change_spec(STATEFULSETS, "default", "db", template=make_template("nginx:1"))
        await world.advance(60)
        assert images(world) == {"db-0": "nginx:1", "db-1": "broken"}
        world.api.delete(PODS, ("default", "db-1"), {})
        await settle_ready(world)
        assert images(world) == {"db-0": "nginx:1", "db-1": "nginx:1"}

    run(story, ONE)


def test_a_broken_rollout_in_parallel_is_taken_back() -> None:
    async def story(world: World) -> None:
        world.api.create(STATEFULSETS, make_set(2, podManagementPolicy="Parallel"))
        await settle_ready(world)
        world.api.change_spec(STATEFULSETS, "default", "db", template=make_template("broken"))
        await world.settle()
        make_ready(world, "db-1")
        await world.settle()
        assert images(world) == {"db-0": "nginx:1", "db-1": "broken"}
        world.api.change_spec(STATEFULSETS, "default", "db", template=make_template("nginx:1"))
        await settle_ready(world)
        assert images(world) == {"db-0": "nginx:1", "db-1": "nginx:1"}

    run(story, ONE)
