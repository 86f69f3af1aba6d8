"""Read-your-writes."""

from __future__ import annotations

import sys

from tests.fakes.api import FakeApi, FakeInformers

from knarr.api.registry import CONFIGMAPS, PODS, SECRETS
from knarr.apimachinery.types import Object
from knarr.component_base.clock import FakeClock
from knarr.controller_runtime.overlay import Overlay
from knarr.controller_runtime.snapshot import NODE, OWNER


class Setup:
    def __init__(self) -> None:
        self.api = FakeApi(FakeClock())
        self.informers = FakeInformers(self.api, hold=True)
        self.informer = self.informers.add(PODS)
        self.overlay = Overlay(self.informers, lambda resource: self.informers.informers[resource].revision)
        self.informer.listen(lambda old, new: self.overlay.observed(PODS, old, new))

    def names(self) -> list[str]:
        return sorted(pod["metadata"]["name"] for pod in self.overlay.list(PODS, "default"))


def pod(name: str, **meta: object) -> Object:
    return {"metadata": {"name": name, "namespace": "default", **meta}, "spec": {}}


def test_a_created_object_is_seen_at_once_and_once() -> None:
    setup = Setup()
    setup.overlay.wrote(PODS, setup.api.create(PODS, pod("a", ownerReferences=[{"uid": "rs"}])))
    assert setup.names() == ["a"]
    assert len(setup.overlay.indexed(PODS, OWNER, "rs")) == 1
    setup.informers.deliver(PODS)
    assert setup.names() == ["a"]
    assert len(setup.overlay.indexed(PODS, OWNER, "rs")) == 1
    assert len(setup.overlay) == 0


def test_an_update_is_not_taken_back_by_an_older_event() -> None:
    setup = Setup()
    created = setup.api.create(PODS, pod("a"))
    between = setup.api.update(PODS, {**created, "spec": {"nodeName": "one"}})
    last = setup.api.update(PODS, {**between, "spec": {"nodeName": "two"}})
    setup.overlay.wrote(PODS, last)
    setup.informers.deliver(PODS, 2)
    found = setup.overlay.get(PODS, "default", "a")
    assert found is not None
    assert found["spec"]["nodeName"] == "two"
    assert [len(setup.overlay.indexed(PODS, NODE, node)) for node in ("one", "two")] == [0, 1]
    setup.informers.deliver(PODS)
    assert len(setup.overlay) == 0


def test_a_removed_object_is_gone_though_the_watch_still_shows_it() -> None:
    setup = Setup()
    created = setup.api.create(PODS, pod("a"))
    setup.informers.deliver(PODS)
    setup.api.remove(PODS, ("default", "a"))
    setup.overlay.removed(PODS, "default", "a", created["metadata"]["uid"])
    assert setup.names() == []
    again = setup.api.create(PODS, pod("a"))
    setup.overlay.wrote(PODS, again)
    setup.informers.deliver(PODS, 1)
    assert setup.names() == ["a"]
    setup.informers.deliver(PODS)
    assert setup.names() == ["a"]
    assert len(setup.overlay) == 0


def test_what_a_broken_watch_never_showed_is_found_out() -> None:
    setup = Setup()
    setup.overlay.wrote(PODS, setup.api.create(PODS, pod("a")))
    setup.api.remove(PODS, ("default", "a"))
    setup.informers.relist(PODS)
    assert [key.name for key, _ in setup.overlay.overtaken()] == ["a"]
    assert setup.names() == []


def test_an_answer_the_watch_has_passed_already_is_not_kept() -> None:
    setup = Setup()
    created = setup.api.create(PODS, pod("a"))
    setup.informers.deliver(PODS)
    setup.overlay.wrote(PODS, created)
    assert len(setup.overlay) == 0
    assert CONFIGMAPS not in setup.informers.informers


def test_an_object_that_nobody_watches_is_not_kept() -> None:
    setup = Setup()
    overlay = Overlay(setup.informers, lambda resource: sys.maxsize)
    overlay.wrote(SECRETS, setup.api.create(SECRETS, pod("a")))
    assert len(overlay) == 0
