"""The scheduler at work, against a recorded API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import orjson

from knarr.client.client import Client
from knarr.client.transport import Answer
from knarr.component_base.clock import FakeClock
from knarr.component_base.tasks import Tasks
from knarr.scheduler import profile
from knarr.scheduler.cycle import Settings
from knarr.scheduler.recorder import Recorder
from knarr.scheduler.scheduler import Scheduler, Surroundings


class RecordedApi:
    """Answers every write with success unless told otherwise."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.fail: dict[str, list[Answer | None]] = {}
        self.live: dict[str, Any] = {}
        self.changed = asyncio.Event()

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Answer:
        self.requests.append((method, path, orjson.loads(body) if body else None))
        self.changed.set()
        if planned := self.fail.get(f"{method} {path}"):
            answer = planned.pop(0)
            if answer is None:
                raise ConnectionError("lost")
            return answer
        if method == "GET":
            return Answer(200, {}, orjson.dumps(self.live[path]))
        return Answer(201, {}, b"{}")

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        raise NotImplementedError
        yield b""

    async def close(self) -> None:
        pass

    def sent(self, method: str, part: str) -> list[Any]:
        return [body for verb, path, body in self.requests if verb == method and part in path]

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(90):
            while not done():
                self.changed.clear()
                await self.changed.wait()


def status(code: int, reason: str) -> Answer:
    return Answer(code, {}, orjson.dumps({"kind": "Status", "code": code, "reason": reason, "message": "no"}))


def running(story: Callable[[Scheduler, RecordedApi, FakeClock], Awaitable[None]]) -> None:
    async def run() -> None:
        api, clock, tasks = RecordedApi(), FakeClock(), Tasks()
        client = Client(api)
        recorder = Recorder(client, clock, "default-scheduler", "default-scheduler-host")
        scheduler = Scheduler(Surroundings(client, tasks, clock, recorder), Settings(profile.DEFAULT, pick=lambda _: 0))
        tasks.start(scheduler.run(), "scheduler")
        tasks.start(recorder.run(), "recorder")
        try:
            await story(scheduler, api, clock)
        finally:
            await tasks.close()

    asyncio.run(run())


BIND = "POST /api/v1/namespaces/default/pods/p/binding"


def test_a_pod_is_bound_and_an_event_says_so(make_pod: Any, make_node: Any) -> None:
    async def story(scheduler: Scheduler, api: RecordedApi, clock: FakeClock) -> None:
        scheduler.on_node(None, make_node("n"))
        scheduler.on_pod(None, make_pod().obj)
        await api.until(lambda: api.sent("POST", "/events"))
        [body] = api.sent("POST", "/binding")
        assert body["target"] == {"kind": "Node", "name": "n"}
        assert body["metadata"] == {"name": "p", "namespace": "default", "uid": "uid-p"}
        [event] = api.sent("POST", "/events")
        assert (event["type"], event["reason"], event["action"]) == ("Normal", "Scheduled", "Binding")
        assert event["note"] == "Successfully assigned default/p to n"
        assert event["reportingController"] == "default-scheduler"
        assert event["eventTime"] == "2026-01-01T00:00:00.000000Z"
        assert event["regarding"]["name"] == "p"
        # A late update that does not know of the binding must not bind again.
        scheduler.on_pod(make_pod().obj, make_pod(labels={"x": "y"}).obj)
        scheduler.on_pod(make_pod().obj, make_pod(node="n").obj)
        await asyncio.sleep(0)
        assert len(scheduler.queue) == 0 and len(api.sent("POST", "/binding")) == 1

    running(story)


def test_a_pod_that_fits_nowhere_waits_for_a_node(make_pod: Any, make_node: Any) -> None:
    async def story(scheduler: Scheduler, api: RecordedApi, clock: FakeClock) -> None:
        scheduler.on_node(None, make_node("small", cpu="1"))
        pod = make_pod(cpu="2", meta={"generation": 1})
        scheduler.on_pod(None, pod.obj)
        await api.until(lambda: api.sent("PATCH", "/status") and api.sent("POST", "/events"))
        [patch] = api.sent("PATCH", "/status")
        message = "0/1 nodes are available: 1 Insufficient cpu."
        assert patch["status"]["conditions"] == [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "observedGeneration": 1,
                "lastProbeTime": None,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ]
        [event] = api.sent("POST", "/events")
        assert (event["type"], event["reason"], event["note"]) == ("Warning", "FailedScheduling", message)
        updated = make_pod(cpu="2", meta={"generation": 1}, status=patch["status"])
        scheduler.on_pod(pod.obj, updated.obj)
        assert not api.sent("POST", "/binding")
        scheduler.on_node(None, make_node("large"))
        await api.until(lambda: api.sent("POST", "/binding"))
        assert api.sent("POST", "/binding")[0]["target"]["name"] == "large"

    running(story)


def test_a_refused_binding_gives_the_room_back_and_is_tried_again(make_pod: Any, make_node: Any) -> None:
    async def story(scheduler: Scheduler, api: RecordedApi, clock: FakeClock) -> None:
        api.fail[BIND] = [status(409, "Conflict")]
        scheduler.on_node(None, make_node("n"))
        scheduler.on_pod(None, make_pod(cpu="3").obj)
        await api.until(lambda: api.sent("PATCH", "/status"))
        assert scheduler.cache.nodes[0].cpu == 0
        [condition] = api.sent("PATCH", "/status")[0]["status"]["conditions"]
        assert (condition["reason"], condition["message"]) == ("SchedulerError", "binding rejected: no")
        assert len(api.sent("POST", "/binding")) == 1
        clock.advance(1.0)
        await api.until(lambda: len(api.sent("POST", "/binding")) == 2)
        assert scheduler.cache.nodes[0].cpu == 3000

    running(story)


def test_a_binding_whose_answer_was_lost_is_looked_up(make_pod: Any, make_node: Any) -> None:
    async def story(scheduler: Scheduler, api: RecordedApi, clock: FakeClock) -> None:
        path = "/api/v1/namespaces/default/pods/p"
        api.fail[BIND] = [None]
        api.fail[f"GET {path}"] = [None]
        api.live[path] = make_pod(node="n").obj
        scheduler.on_node(None, make_node("n"))
        scheduler.on_pod(None, make_pod(cpu="1").obj)
        await api.until(lambda: api.sent("GET", path))
        await asyncio.sleep(0)
        clock.advance(1.0)
        await api.until(lambda: api.sent("POST", "/events"))
        assert api.sent("POST", "/events")[0]["reason"] == "Scheduled"
        assert scheduler.cache.nodes[0].cpu == 1000
        assert len(api.sent("POST", "/binding")) == 1

    running(story)


def test_a_lost_binding_that_was_not_carried_out_is_repeated(make_pod: Any, make_node: Any) -> None:
    async def story(scheduler: Scheduler, api: RecordedApi, clock: FakeClock) -> None:
        path = "/api/v1/namespaces/default/pods/p"
        api.fail[BIND] = [None]
        api.live[path] = make_pod().obj
        scheduler.on_node(None, make_node("n"))
        scheduler.on_pod(None, make_pod().obj)
        await api.until(lambda: api.sent("PATCH", "/status"))
        clock.advance(1.0)
        await api.until(lambda: len(api.sent("POST", "/binding")) == 2)

    running(story)


def test_others_and_terminating_pods_are_left_alone(make_pod: Any, make_node: Any) -> None:
    async def story(scheduler: Scheduler, api: RecordedApi, clock: FakeClock) -> None:
        scheduler.on_node(None, make_node("n"))
        scheduler.on_pod(None, make_pod("other", schedulerName="mine").obj)
        scheduler.on_pod(None, make_pod("going", meta={"deletionTimestamp": "2026-01-01T00:00:00Z"}).obj)
        scheduler.on_pod(None, make_pod("done", status={"phase": "Succeeded"}).obj)
        scheduler.on_pod(None, make_pod("last").obj)
        await api.until(lambda: api.sent("POST", "/binding"))
        assert [body["metadata"]["name"] for body in api.sent("POST", "/binding")] == ["last"]
        assert len(scheduler.queue) <= 1

    running(story)


def test_a_pod_that_goes_makes_room_for_one_that_waits(make_pod: Any, make_node: Any) -> None:
    async def story(scheduler: Scheduler, api: RecordedApi, clock: FakeClock) -> None:
        scheduler.on_node(None, make_node("n"))
        old = make_pod("old", node="n", cpu="3")
        scheduler.on_pod(None, old.obj)
        scheduler.on_pod(None, make_pod(cpu="3").obj)
        await api.until(lambda: api.sent("PATCH", "/status"))
        scheduler.on_pod(old.obj, None)
        await api.until(lambda: api.sent("POST", "/binding"))

    running(story)


def test_the_same_failure_again_raises_the_count_of_its_event(make_pod: Any, make_node: Any) -> None:
    async def story(scheduler: Scheduler, api: RecordedApi, clock: FakeClock) -> None:
        scheduler.on_node(None, make_node("n", cpu="1"))
        scheduler.on_pod(None, make_pod(cpu="2").obj)
        await api.until(lambda: api.sent("POST", "/events"))
        clock.advance(30)
        scheduler.on_pod(make_pod(cpu="2").obj, make_pod(cpu="2", labels={"a": "b"}).obj)
        await api.until(lambda: api.sent("PATCH", "/events"))
        [patch] = api.sent("PATCH", "/events")
        assert patch["series"] == {"count": 2, "lastObservedTime": "2026-01-01T00:00:30.000000Z"}
        assert len(api.sent("POST", "/events")) == 1

    running(story)
