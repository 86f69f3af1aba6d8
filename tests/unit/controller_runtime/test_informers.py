"""Informers: what they show, tell and index, against plain readings of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.api import FakeApi, fake_client

from knarr.api.registry import CONFIGMAPS, PODS
from knarr.apimachinery.types import Object
from knarr.client.reflector import Selection
from knarr.component_base.clock import FakeClock
from knarr.controller_runtime.informer import Informer
from knarr.controller_runtime.informers import Informers
from knarr.controller_runtime.snapshot import NODE, ORPHAN, OWNER, index_values

Change = tuple[Object | None, Object | None]


def pod(namespace: str, name: str, revision: int, *, uid: str = "u", node: str = "", owner: str = "") -> Object:
    owners = [{"uid": owner, "controller": True}] if owner else []
    meta = {
        "namespace": namespace,
        "name": name,
        "uid": uid,
        "resourceVersion": str(revision),
        "ownerReferences": owners,
    }
    return {"metadata": {**meta, "managedFields": [{"manager": "m"}]}, "spec": {"nodeName": node} if node else {}}


POD = st.builds(
    pod,
    st.sampled_from("xy"),
    st.sampled_from("abc"),
    st.just(0),
    uid=st.sampled_from("12"),
    node=st.sampled_from(["", "n1", "n2"]),
    owner=st.sampled_from(["", "o1", "o2"]),
)


def place(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


STEPS = st.lists(st.one_of(st.lists(POD, max_size=4), st.tuples(st.booleans(), POD)), max_size=12)


@given(STEPS, st.booleans(), st.lists(st.integers(0, 2), min_size=12, max_size=12))
def test_what_is_shown_told_and_indexed_agrees_with_the_events(
    steps: list[Any], early: bool, coolings: list[int]
) -> None:
    informer = Informer(Selection(PODS), few=0)
    if early:
        informer.indexed(NODE, "n1")
    told: dict[tuple[str, str], Object] = {}

    def listen(old: Object | None, new: Object | None) -> None:
        key = place(new or old or {})
        assert told.get(key) == old
        if new is None:
            del told[key]
        else:
            assert old is None or old["metadata"]["uid"] == new["metadata"]["uid"]
            told[key] = new
        # What a listener reads is not older than what it is told.
        assert informer.get(*key) is new

    informer.listen(listen)
    truth: dict[tuple[str, str], Object] = {}
    for revision, step in enumerate(steps, 1):
        if isinstance(step, list):
            truth = {place(obj): stamped(obj, revision) for obj in step}
            informer.replace(list(truth.values()), revision)
        else:
            one_event(informer, truth, step, revision)
        assert informer.revision == revision or not isinstance(step, list)
        for _ in range(coolings[revision - 1]):
            cool(informer)
        check(informer, truth)
        assert told == truth


def cool(informer: Informer) -> None:
    for _ in informer.cool():
        pass


def test_what_nobody_asks_for_is_kept_as_bytes_and_read_again_the_same() -> None:
    informer = Informer(Selection(PODS), few=0)
    informer.replace([pod("x", "a", 1), pod("x", "b", 1), pod("y", "a", 1, node="n1")], 1)
    first, asked = informer.get("x", "a"), informer.get("x", "b")
    cool(informer)  # all is new
    assert informer.get("x", "b") is asked
    cool(informer)
    assert informer.get("x", "b") is asked
    again = informer.get("x", "a")
    assert again == first
    assert again is not first
    assert informer.get("x", "a") is again
    assert [place(obj) for obj in informer.indexed(NODE, "n1")] == [("y", "a")]
    listed = informer.list("x")
    cool(informer)
    assert informer.list("x") is listed
    cool(informer)
    cool(informer)
    assert informer.list("x") == listed
    assert informer.list("x") is not listed


def one_event(
    informer: Informer, truth: dict[tuple[str, str], Object], step: tuple[bool, Object], revision: int
) -> None:
    exists, obj = step[0], stamped(step[1], revision)
    old = truth.get(place(obj))
    if old is not None:
        obj["metadata"]["uid"] = old["metadata"]["uid"]  # a namesake comes after a DELETED only
    if exists:
        truth[place(obj)] = obj
        informer.apply("ADDED" if old is None else "MODIFIED", obj, revision)
    elif old is not None:
        del truth[place(obj)]
        informer.apply("DELETED", obj, revision)


def stamped(obj: Object, revision: int) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}


def check(informer: Informer, truth: dict[tuple[str, str], Object]) -> None:
    for namespace in ("", "x", "y"):
        expected = [obj for key, obj in truth.items() if namespace in ("", key[0])]
        assert sorted(map(place, informer.list(namespace))) == sorted(map(place, expected))
    for index, values in ((NODE, ["n1", "n2"]), (OWNER, ["o1", "o2"]), (ORPHAN, ["x", "y"])):
        for value in values:
            filed = [key for key, obj in truth.items() if value in index_values(index, obj)]
            assert sorted(map(place, informer.indexed(index, value))) == sorted(filed)
    assert all("managedFields" not in obj["metadata"] for obj in informer.list())


def test_a_late_listener_hears_of_what_is_there_and_a_broken_one_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    informer = Informer(Selection(PODS))
    informer.replace([pod("x", "a", 1)], 1)
    heard: list[Change] = []

    def broken(old: Object | None, new: Object | None) -> None:
        raise ValueError("oops")

    informer.listen(broken)
    informer.listen(lambda old, new: heard.append((old, new)))
    informer.apply("DELETED", pod("x", "a", 2), 2)
    assert [(bool(old), bool(new)) for old, new in heard] == [(False, True), (True, False)]
    assert caplog.text.count("listener failed") == 2


def test_what_a_list_shows_unchanged_is_not_told_again() -> None:
    informer = Informer(Selection(PODS))
    informer.replace([pod("x", "a", 1), pod("x", "b", 1)], 1)
    heard: list[Change] = []
    informer.listen(lambda old, new: heard.append((old, new)))
    heard.clear()
    informer.replace([pod("x", "a", 1), pod("x", "b", 5)], 9)
    assert [(old and place(old), new and place(new)) for old, new in heard] == [(("x", "b"), ("x", "b"))]


def test_a_waiter_wakes_when_the_watch_has_passed_its_revision() -> None:
    async def main() -> None:
        informer = Informer(Selection(PODS))
        waiter = asyncio.ensure_future(informer.until(5))
        informer.replace([], 4)
        await asyncio.sleep(0)
        assert not waiter.done()
        informer.reached(6)
        await asyncio.wait_for(waiter, 90)
        await informer.until(6)

    asyncio.run(main())


def test_informers_read_as_a_snapshot_of_what_was_added() -> None:
    async def main() -> None:
        clock = FakeClock()
        api = FakeApi(clock)
        api.put(PODS, {"metadata": {"namespace": "x", "name": "a"}, "spec": {"nodeName": "n"}})
        informers = Informers(fake_client(api)[0], clock)
        pods = informers.add(PODS)
        informers.run()
        await asyncio.wait_for(informers.synced(), 90)
        assert informers.add(PODS) is pods
        assert informers.add(PODS, namespace="x") is not pods
        found = informers.get(PODS, "x", "a")
        assert found is not None
        assert (found["kind"], found["apiVersion"]) == ("Pod", "v1")
        assert list(informers.list(PODS)) == list(informers.indexed(PODS, NODE, "n")) == [found]
        assert pods.revision == api.revision
        with pytest.raises(LookupError, match="configmaps are not watched"):
            informers.get(CONFIGMAPS, "x", "a")
        await informers.close()

    asyncio.run(main())
