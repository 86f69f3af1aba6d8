"""Events: what is written for what was recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import orjson

from knarr.client.client import Client
from knarr.client.transport import Answer
from knarr.component_base.clock import FakeClock
from knarr.component_base.tasks import Tasks
from knarr.controller_runtime.changes import EventNote
from knarr.controller_runtime.correlation import BURST, REFILL_SECONDS, SIMILAR, Correlator
from knarr.controller_runtime.events import Recorder, container_path, reference

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "ns", "uid": "u1", "resourceVersion": "7", "labels": {"a": "b"}},
    "spec": {},
}


class Api:
    """Keeps events; can lose answers and forget events."""

    def __init__(self) -> None:
        self.events: dict[str, Any] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.lose = 0
        self.hang = False

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Answer:
        sent = orjson.loads(body)
        self.requests.append((method, path, sent))
        if self.hang:
            await asyncio.Event().wait()
        name = path.rpartition("/")[2] if method == "PATCH" else sent["metadata"]["name"]
        if method == "PATCH" and name not in self.events:
            return _refusal(404, "NotFound")
        if method == "POST" and name in self.events:
            return _refusal(409, "AlreadyExists")
        self.events[name] = {**self.events.get(name, {}), **sent}
        if self.lose:
            self.lose -= 1
            raise ConnectionError("lost")
        return Answer(201, {}, b"{}")

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        raise NotImplementedError
        yield b""

    async def close(self) -> None:
        pass


def _refusal(code: int, reason: str) -> Answer:
    return Answer(code, {}, orjson.dumps({"kind": "Status", "code": code, "reason": reason, "message": reason}))


def recording(story: Callable[[Recorder, Api, FakeClock], Awaitable[None]]) -> None:
    async def main() -> None:
        api, clock, tasks = Api(), FakeClock(), Tasks()
        recorder = Recorder(Client(api), clock, "n1")
        task = tasks.start(recorder.run(), "recorder")
        try:
            async with asyncio.timeout(90):
                await story(recorder, api, clock)
            assert not task.done()
        finally:
            await tasks.close()

    asyncio.run(main())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def note(message: str = "Pulled it", reason: str = "Pulled") -> EventNote:
    return EventNote(POD, "Normal", reason, message)


def test_the_same_event_again_raises_its_count() -> None:
    async def story(recorder: Recorder, api: Api, clock: FakeClock) -> None:
        recorder.record(note(), "kubelet", field_path=container_path("c"))
        clock.advance(60)
        recorder.record(note(), "kubelet", field_path=container_path("c"))
        await settle()
        (name, event), *rest = api.events.items()
        assert not rest
        assert name.startswith("web.")
        assert event["involvedObject"] == {
            "kind": "Pod",
            "namespace": "ns",
            "name": "web",
            "uid": "u1",
            "apiVersion": "v1",
            "resourceVersion": "7",
            "fieldPath": "spec.containers{c}",
        }
        assert event["source"] == {"component": "kubelet", "host": "n1"}
        assert (event["count"], event["firstTimestamp"], event["lastTimestamp"]) == (
            2,
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:01:00Z",
        )
        assert api.requests[1][2].keys() == {"count", "lastTimestamp", "message"}

    recording(story)


def test_an_expired_event_is_created_again_with_its_count() -> None:
    async def story(recorder: Recorder, api: Api, clock: FakeClock) -> None:
        recorder.record(note(), "kubelet")
        await settle()
        api.events.clear()
        recorder.record(note(), "kubelet")
        await settle()
        assert [method for method, _, _ in api.requests] == ["POST", "PATCH", "POST"]
        assert [event["count"] for event in api.events.values()] == [2]

    recording(story)


def test_a_lost_answer_makes_no_second_event() -> None:
    async def story(recorder: Recorder, api: Api, clock: FakeClock) -> None:
        api.lose = 1
        recorder.record(note(), "kubelet")
        await settle()
        clock.advance(10)
        await settle()
        assert len(api.requests) == 2
        recorder.record(note(), "kubelet")
        await settle()
        assert [event["count"] for event in api.events.values()] == [2]

    recording(story)


def test_names_that_are_no_names_are_replaced() -> None:
    async def story(recorder: Recorder, api: Api, clock: FakeClock) -> None:
        odd = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "System:Odd"}}
        recorder.record(EventNote(odd, "Warning", "Odd", "odd"), "kubelet")
        await settle()
        assert [len(name) for name in api.events] == [36]
        assert api.requests[0][1] == "/api/v1/namespaces/default/events"

    recording(story)


def event(message: str, name: str = "a") -> dict[str, Any]:
    return {
        "metadata": {"name": f"{name}.{message}", "namespace": "ns"},
        "involvedObject": {"kind": "Pod", "name": name},
        "source": {"component": "kubelet"},
        "type": "Normal",
        "reason": "R",
        "message": message,
        "count": 1,
        "firstTimestamp": message,
        "lastTimestamp": message,
    }


def test_many_similar_events_become_one() -> None:
    correlator = Correlator(lambda about: f"{about['name']}.combined")
    writes = [correlator.correlate(event(str(number)), 0.0) for number in range(SIMILAR + 3)]
    names = [write.event["metadata"]["name"] for write in writes if write]
    assert names == [f"a.{number}" for number in range(SIMILAR - 1)] + ["a.combined"] * 4
    last = writes[-1]
    assert last is not None
    assert last.patch == {"count": 4, "lastTimestamp": "12", "message": "(combined from similar events): 12"}
    later = correlator.correlate(event("new"), 601.0)
    assert later is not None
    assert later.event["metadata"]["name"] == "a.new"


def test_a_source_that_says_too_much_about_an_object_is_held_back() -> None:
    correlator = Correlator(lambda about: "x")
    assert all(correlator.correlate(event("m"), 0.0) for _ in range(BURST))
    assert correlator.correlate(event("m"), REFILL_SECONDS / 2) is None
    assert correlator.correlate(event("m", "b"), REFILL_SECONDS / 2) is not None
    refilled = correlator.correlate(event("m"), REFILL_SECONDS)
    assert refilled is not None
    assert refilled.event["count"] == BURST + 2


def test_a_reference_stays_a_reference() -> None:
    known = {"kind": "Pod", "name": "web", "namespace": "ns", "fieldPath": "spec.containers{c}"}
    assert reference(known) == known


def test_what_waits_is_written_at_the_end() -> None:
    async def main() -> None:
        api, tasks = Api(), Tasks()
        recorder = Recorder(Client(api), FakeClock(), "n1")
        task = tasks.start(recorder.run(), "recorder")
        api.hang = True
        recorder.record(note("one"), "kubelet")
        recorder.record(note("two"), "kubelet")
        await settle()
        assert len(api.requests) == 1
        await tasks.close()
        assert task.cancelled()
        api.hang = False
        await recorder.flush()
        assert sorted(event["message"] for event in api.events.values()) == ["one", "two"]

    asyncio.run(main())


def test_the_end_does_not_wait_for_a_server_that_is_gone() -> None:
    async def main() -> None:
        api = Api()
        recorder = Recorder(Client(api), FakeClock(), "n1")
        api.hang = True
        for count in range(5):
            recorder.record(note(str(count)), "kubelet")
        async with asyncio.timeout(90):
            await recorder.flush(0.05)
        assert len(api.requests) == 1

    asyncio.run(main())
