"""Rolling updates keep their promises, whatever sizes and bounds, and in whatever order pods become available."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.api import FakeApi, FakeInformers
from tests.fakes.world import SeededNames

from knarr.api.registry import DEPLOYMENTS, PODS, REPLICASETS
from knarr.apimachinery import intstr
from knarr.apimachinery.types import Object
from knarr.component_base.clock import FakeClock
from knarr.controller import deployment
from knarr.controller_runtime.changes import Context, Create, Delete, Update
from knarr.controller_runtime.snapshot import Key

KEY = Key(DEPLOYMENTS, "default", "web")
Bound = st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "50%", "100%"]))


class Rollout:
    """A Deployment whose ReplicaSets are played by the test."""

    def __init__(self, replicas: int, surge: int | str, unavailable: int | str) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(self.clock)
        self.snapshot = FakeInformers(self.api)
        for resource in (DEPLOYMENTS, REPLICASETS, PODS):
            self.snapshot.add(resource)
        bounds = {"maxSurge": surge, "maxUnavailable": unavailable}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template("1"),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": bounds},
        }
        self.api.create(DEPLOYMENTS, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
        self.replicas = replicas
        self.surge = intstr.scaled(surge, replicas, round_up=True)
        self.unavailable = intstr.scaled(unavailable, replicas, round_up=False)
        if not self.surge and not self.unavailable:
            self.unavailable = 1

    def reconcile(self) -> bool:
        """One round; whether it changed a ReplicaSet."""
        result = deployment.reconcile(KEY, self.snapshot, Context(self.clock.now(), SeededNames()))
        for change in result.changes:
            match change:
                case Create(resource, obj):
                    self.api.create(resource, obj)
                case Update(resource, obj, subresource):
                    self.api.update(resource, obj, subresource)
                case Delete(resource, namespace, name):
                    self.api.remove(resource, (namespace, name))
                case _:
                    raise AssertionError(change)
        return any(change.resource is REPLICASETS for change in result.changes)

    def sets(self) -> list[Object]:
        return list(self.api.list(REPLICASETS))

    def follow(self, rs: Object, more: int) -> None:
        """The ReplicaSet's pods are as many as asked for; of those that are not available, `more` become so."""
        wanted = rs["spec"]["replicas"]
        available = min(wanted, (rs.get("status") or {}).get("availableReplicas", 0) + more)
        self.api.set_status(
            REPLICASETS,
            "default",
            rs["metadata"]["name"],
            replicas=wanted,
            availableReplicas=available,
            observedGeneration=rs["metadata"]["generation"],
        )

    def available(self) -> int:
        return sum(self.count(rs) for rs in self.sets())

    def count(self, rs: Object) -> int:
        """Pods that are left available once the ReplicaSet is as large as asked for."""
        return int(min(rs["spec"]["replicas"], (rs.get("status") or {}).get("availableReplicas", 0)))


def template(version: str) -> Object:
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": f"nginx:{version}"}]}
    return {"metadata": {"labels": {"app": "web"}}, "spec": spec}


def settle(rollout: Rollout) -> None:
    for _ in range(60):
        changed = rollout.reconcile()
        for rs in rollout.sets():
            rollout.follow(rs, 100)
        if not changed and not rollout.reconcile():
            return
    raise AssertionError("the rollout does not come to an end")


@settings(max_examples=150)
@given(replicas=st.integers(0, 12), surge=Bound, unavailable=Bound, data=st.data())
def test_a_rollout_never_exceeds_its_surge_nor_falls_below_its_promise(
    replicas: int, surge: int | str, unavailable: int | str, data: st.DataObject
) -> None:
    rollout = Rollout(replicas, surge, unavailable)
    settle(rollout)
    assert rollout.available() == replicas
    for version in ("2", "3"):
        rollout.api.change_spec(DEPLOYMENTS, "default", "web", template=template(version))
        for _ in range(data.draw(st.integers(0, 12))):
            rollout.reconcile()
            asked = sum(rs["spec"]["replicas"] for rs in rollout.sets())
            assert asked <= replicas + rollout.surge
            assert rollout.available() >= replicas - rollout.unavailable
            for rs in rollout.sets():
                if data.draw(st.booleans()):
                    rollout.follow(rs, data.draw(st.integers(0, 3)))
    settle(rollout)
    sizes = {rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["spec"]["replicas"] for rs in rollout.sets()}
    assert sizes.pop("nginx:3", 0) == replicas
    assert not any(sizes.values())
