"""StatefulSets and DaemonSets keep their promises, whatever sizes and bounds, and however late pods become ready."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.api import FakeApi, FakeInformers
from tests.fakes.world import SeededNames

from knarr.api.registry import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS, PVCS, STATEFULSETS
from knarr.api.resources import Resource
from knarr.api.semantics import pod_state
from knarr.apimachinery.types import Object
from knarr.component_base.clock import FakeClock
from knarr.controller import daemonset, statefulset
from knarr.controller.daemonset import bounds, placement
from knarr.controller.statefulset import identity
from knarr.controller_runtime.changes import Change, Context, Create, Delete, Patch, Update
from knarr.controller_runtime.controller import Reconcile
from knarr.controller_runtime.snapshot import Key

NS, NAME = "default", "s"


class Play:
    """One set whose pods are played by the test; every change of the controller is carried out at once."""

    def __init__(self, resource: Resource, reconcile: Reconcile) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(self.clock)
        self.key, self._reconcile = Key(resource, NS, NAME), reconcile
        self.snapshot = FakeInformers(self.api)
        for watched in (resource, PODS, PVCS, NODES, CONTROLLERREVISIONS):
            self.snapshot.add(watched)

    def put(self, **spec: Any) -> None:
        if self.api.list(self.key.resource):
            self.api.change_spec(*self.key, **spec)
        else:
            self.api.create(self.key.resource, {"metadata": {"name": NAME, "namespace": NS}, "spec": spec})

    def step(self) -> list[Change]:
        """One round; what it changed beside statuses."""
        result = self._reconcile(self.key, self.snapshot, Context(self.clock.now(), SeededNames(self.api.revision)))
        assert not result.reads
        for change in result.changes:
            match change:
                case Create(resource, obj):
                    self.api.create(resource, obj)
                case Update(resource, obj, subresource):
                    self.api.update(resource, obj, subresource)
                case Delete(resource, namespace, name):
                    self.api.delete(resource, (namespace, name), {})
                case Patch():
                    raise AssertionError(change)
        return [change for change in result.changes if not isinstance(change, Update)]

    def pods(self) -> list[Object]:
        return list(self.api.list(PODS))

    def work(self, ready: int) -> None:
        """Pods that were deleted go, new ones run; so many of those that are not ready become so."""
        for pod in self.pods():
            place = (NS, pod["metadata"]["name"])
            if pod["metadata"].get("deletionTimestamp"):
                self.api.remove(PODS, place)
            elif not (pod.get("status") or {}).get("phase"):
                self.api.change_spec(PODS, *place, nodeName=placement.target(pod) or "n")
                self.api.set_status(PODS, *place, phase="Running")
            elif not pod_state.is_ready(pod) and ready > 0:
                ready -= 1
                self.api.set_status(PODS, *place, conditions=[{"type": "Ready", "status": "True"}])


def good(pod: Object) -> bool:
    return pod_state.is_ready(pod) and not pod["metadata"].get("deletionTimestamp")


def template(image: str) -> Object:
    return {"metadata": {"labels": {"app": "s"}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def image(pod: Object) -> str:
    return str(pod["spec"]["containers"][0]["image"])


SELECTOR = {"matchLabels": {"app": "s"}}


@settings(deadline=None, max_examples=25)
@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    start=st.integers(0, 3),
    partition=st.integers(0, 4),
    speed=st.lists(st.integers(0, 2), min_size=4, max_size=4),
)
def test_an_ordered_set_never_has_more_than_one_pod_on_its_way(
    sizes: list[int], start: int, partition: int, speed: list[int]
) -> None:
    play = Play(STATEFULSETS, statefulset.reconcile)
    for turn, size in enumerate(sizes):
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
        play.put(
            replicas=size,
            ordinals={"start": start},
            selector=SELECTOR,
            template=template(str(turn % 2)),
            updateStrategy=strategy,
            revisionHistoryLimit=2,
        )
        for round_ in range(60):
            play.step()
            assert sum(not good(pod) for pod in play.pods()) <= 1
            # What is there begins with the first ordinal: gaps are filled from below.
            numbers = sorted(identity.ordinal(pod) for pod in play.pods())
            assert len(numbers) <= max(sizes)
            assert all(number >= start for number in numbers)
            play.work(speed[round_ % 4] if round_ < 20 else 1)
        numbers = sorted(identity.ordinal(pod) for pod in play.pods())
        assert numbers == list(range(start, start + size))
        new = [image(pod) for pod in play.pods() if identity.ordinal(pod) >= start + partition]
        assert set(new) <= {str(turn % 2)}
        assert not play.step()


@settings(deadline=None, max_examples=25)
@given(
    nodes=st.integers(0, 6),
    unavailable=st.one_of(st.integers(0, 3), st.sampled_from(["0%", "50%"])),
    surge=st.one_of(st.integers(0, 3), st.sampled_from(["0%", "34%"])),
    speed=st.lists(st.integers(0, 2), min_size=4, max_size=4),
)
def test_a_rollout_over_nodes_keeps_within_its_bounds(
    nodes: int, unavailable: int | str, surge: int | str, speed: list[int]
) -> None:
    play = Play(DAEMONSETS, daemonset.controller().reconcile)
    for number in range(nodes):
        play.api.put(NODES, {"metadata": {"name": f"n{number}"}, "spec": {}})
    bound = {"maxUnavailable": unavailable, "maxSurge": surge}
    spec = {"selector": SELECTOR, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": bound}}
    play.put(**spec, template=template("1"))
    for _ in range(4):
        play.step()
        play.work(nodes)
    assert len(play.pods()) == nodes
    made = play.api.get(DAEMONSETS, NS, NAME)
    extra, missing = bounds.max_surge(made, nodes), bounds.max_unavailable(made, nodes)
    play.put(**spec, template=template("2"))
    for round_ in range(80):
        play.step()
        pods = play.pods()
        available = {placement.target(pod) for pod in pods if good(pod)}
        assert nodes - len(available) <= (0 if extra else missing)
        assert len(pods) <= nodes + extra + sum("deletionTimestamp" in pod["metadata"] for pod in pods)
        play.work(speed[round_ % 4] if round_ < 30 else 1)
    assert [image(pod) for pod in play.pods()] == ["2"] * nodes
    assert not play.step()
