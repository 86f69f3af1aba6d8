"""The manager: changes carried out, failures, lost answers, delays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from tests.fakes.world import World, run

from knarr.api.registry import CONFIGMAPS, NAMESPACES, PODS
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import Context, Create, Delete, EventNote, Failure, Read, Result, Update
from knarr.controller_runtime.controller import Controller, Watch, itself, nobody
from knarr.controller_runtime.executor import batches
from knarr.controller_runtime.snapshot import Key, Snapshot


def config_map(name: str, **data: str) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def make(reconcile: Any) -> tuple[Controller]:
    watches = (Watch(CONFIGMAPS, itself(CONFIGMAPS)), Watch(PODS, nobody))
    return (Controller("test", CONFIGMAPS, watches, (), reconcile),)


def pod(name: str) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {}}


def pods(world: World) -> list[str]:
    return sorted(item["metadata"]["name"] for item in world.api.list(PODS))


def test_batches_grow_and_keep_the_order() -> None:
    changes: list[Any] = [Create(PODS, pod(str(i))) for i in range(8)] + [Update(PODS, pod("x"))]
    changes += [Delete(PODS, "default", "y"), Delete(PODS, "default", "z"), Create(NAMESPACES, pod("n"))]
    assert [len(batch) for batch in batches(changes)] == [1, 2, 4, 1, 1, 1, 1, 1]
    assert [change for batch in batches(changes) for change in batch] == changes


def make_pods(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """As many pods as the config map says; each creation has a fresh name."""
    wanted = int((snapshot.get(*key) or {"data": {"n": 0}})["data"]["n"])
    missing = wanted - len(snapshot.list(PODS, "default"))
    note = EventNote({}, "Normal", "Made", "made")
    return Result(tuple(Create(PODS, pod(context.names.suffix()), done=note) for _ in range(missing)))


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_lost_answer_makes_nothing_twice(lost: str) -> None:
    async def story(world: World) -> None:
        left = [3]

        def lose(method: str, path: str) -> None:
            if method == "POST" and left[0]:
                left[0] -= 1
                raise ConnectionError("lost")

        setattr(world.transport, lost, lose)
        world.api.create(CONFIGMAPS, config_map("a", n="5"))
        await world.advance(20, step=0.5)
        assert len(pods(world)) == 5
        assert len(world.notes.taken) == 5

    run(story, make(make_pods), hold=False)


def test_one_does_not_act_twice_on_what_the_watch_has_not_shown() -> None:
    async def story(world: World) -> None:
        world.api.create(CONFIGMAPS, config_map("a", n="2"))
        world.informers.deliver(CONFIGMAPS)
        await world.settle()
        world.api.update(CONFIGMAPS, config_map("a", n="3"))
        world.informers.deliver(CONFIGMAPS)
        await world.settle()
        assert len(pods(world)) == 3
        world.informers.deliver_all()
        await world.settle()
        assert len(pods(world)) == 3

    run(story, make(make_pods), hold=True)


def test_a_failure_ends_the_round_and_is_told_to_the_next() -> None:
    seen: list[Failure | None] = []

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        seen.append(context.failure)
        return make_pods(key, snapshot, context)

    async def story(world: World) -> None:
        def refuse(method: str, path: str) -> None:
            if method == "POST" and len(seen) < 3:
                raise StatusError(403, "Forbidden", "exceeded quota")

        world.transport.before = refuse
        world.api.create(CONFIGMAPS, config_map("a", n="3"))
        await world.settle()
        assert len(world.api.requests) == 0
        await world.advance(0.2, step=0.005)
        assert len(pods(world)) == 3

    run(story, make(reconcile))
    assert seen[0] is None
    assert [failure.message for failure in seen[1:3] if failure] == ["exceeded quota"] * 2


def test_a_failure_is_told_with_the_answers_of_reads_too() -> None:
    seen: list[bool] = []

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        read = Read(*key)
        if read not in context.live:
            return Result(reads=(read,))
        seen.append(context.failure is not None)
        return make_pods(key, snapshot, context)

    async def story(world: World) -> None:
        def refuse(method: str, path: str) -> None:
            if method == "POST" and len(seen) < 2:
                raise StatusError(403, "Forbidden", "exceeded quota")

        world.transport.before = refuse
        world.api.create(CONFIGMAPS, config_map("a", n="1"))
        await world.advance(0.2, step=0.005)

    run(story, make(reconcile))
    assert seen[:2] == [False, True]


def test_nothing_is_tried_again_in_a_namespace_that_goes_away() -> None:
    async def story(world: World) -> None:
        tries: list[str] = []

        def refuse(method: str, path: str) -> None:
            if method == "POST":
                tries.append(path)
                causes = [{"reason": "NamespaceTerminating"}]
                raise StatusError(403, "Forbidden", "it is being terminated", {"causes": causes})

        world.transport.before = refuse
        world.api.create(CONFIGMAPS, config_map("a", n="3"))
        await world.advance(60)
        assert len(tries) == 1

    run(story, make(make_pods))


def test_a_stale_update_is_decided_again_on_what_is_there() -> None:
    async def story(world: World) -> None:
        world.api.create(CONFIGMAPS, config_map("a"))
        world.informers.deliver(CONFIGMAPS)
        current = world.api.get(CONFIGMAPS, "default", "a")
        world.api.update(CONFIGMAPS, {**current, "data": {"user": "x"}})
        await world.settle()
        await world.advance(1, step=0.1)
        assert world.api.get(CONFIGMAPS, "default", "a")["data"] == {"user": "x", "seen": "yes"}

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        found = snapshot.get(*key) or {}
        data = found.get("data") or {}
        if "seen" in data:
            return Result()
        return Result((Update(CONFIGMAPS, {**found, "data": {**data, "seen": "yes"}}),))

    run(story, make(reconcile), hold=True)


def test_live_reads_come_with_the_next_call() -> None:
    seen: list[Any] = []
    reads = (Read(PODS, "default", "there"), Read(PODS, "default", "absent"), Read(PODS, "default"))

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        if not context.live:
            return Result(reads=reads)
        seen.append([context.live[read] for read in reads])
        return Result()

    async def story(world: World) -> None:
        world.api.create(PODS, pod("there"))
        world.api.create(CONFIGMAPS, config_map("a"))

    run(story, make(reconcile))
    assert [seen[0][0]["metadata"]["name"], seen[0][1], len(seen[0][2]["items"])] == ["there", None, 1]


def test_delays_pass_on_the_clock() -> None:
    times: list[float] = []

    async def story(world: World) -> None:
        world.api.create(CONFIGMAPS, config_map("a"))
        await world.advance(35, step=5)

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        times.append(context.now.timestamp())
        return Result(requeue_after=10)

    run(story, make(reconcile))
    assert [time - times[0] for time in times] == [0, 10, 20, 30]


def test_a_faulty_reconciler_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[Key] = []

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        calls.append(key)
        if len(calls) == 1:
            raise RuntimeError("fault")
        return Result()

    async def story(world: World) -> None:
        world.api.create(CONFIGMAPS, config_map("a"))
        await world.settle()
        await world.advance(0.1, step=0.01)

    run(story, make(reconcile))
    assert len(calls) == 2


def test_every_changed_place_wakes_its_key() -> None:
    woken: list[str] = []

    def keys(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
        return [Key(CONFIGMAPS, "default", (new or old or {})["metadata"]["name"])]

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        woken.append(key.name)
        return Result()

    async def story(world: World) -> None:
        world.api.create(PODS, pod("one"))
        await world.settle()
        world.api.remove(PODS, ("default", "one"))

    run(story, (Controller("test", CONFIGMAPS, (Watch(PODS, keys),), (), reconcile),))
    assert woken == ["one", "one"]
