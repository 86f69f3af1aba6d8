"""Following a collection through whatever a server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson
import pytest

from knarr.api.registry import PODS
from knarr.apimachinery.errors import StatusError, expired, service_unavailable, too_many_requests
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.client.reflector import Reflector, Selection
from knarr.client.transport import Answer
from knarr.component_base.clock import FakeClock


class Server:
    """Answers lists from a script; each watch is a queue that the test feeds."""

    def __init__(self) -> None:
        self.pages: list[Object | Exception] = []
        self.lists: list[dict[str, str]] = []
        self.watches: list[dict[str, str]] = []
        self.feeds: list[asyncio.Queue[Object | Exception | None]] = []
        self.refusals: list[Exception] = []

    async def request(
        self, method: str, path: str, query: Mapping[str, str], body: bytes = b"", content_type: str = ""
    ) -> Answer:
        self.lists.append(dict(query))
        page = self.pages.pop(0)
        if isinstance(page, StatusError):
            return Answer(page.code, {}, orjson.dumps(page.status()))
        if isinstance(page, Exception):
            raise page
        return Answer(200, {}, orjson.dumps(page))

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        self.watches.append(dict(query))
        if self.refusals:
            raise self.refusals.pop(0)
        feed: asyncio.Queue[Object | Exception | None] = asyncio.Queue()
        self.feeds.append(feed)
        while (item := await feed.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield orjson.dumps(item)

    async def close(self) -> None:
        return


class Seen:
    """A sink that writes down."""

    def __init__(self) -> None:
        self.notes: list[tuple[Any, ...]] = []
        self.kinds: set[tuple[str, str]] = set()

    def replace(self, objects: Sequence[Object], revision: int) -> None:
        self._typed(*objects)
        self.notes.append(("list", [obj["metadata"]["name"] for obj in objects], revision))

    def apply(self, kind: str, obj: Object, revision: int) -> None:
        self._typed(obj)
        self.notes.append((kind, obj["metadata"]["name"], revision))

    def reached(self, revision: int) -> None:
        self.notes.append(("reached", revision))

    def failed(self, error: Exception) -> None:
        self.notes.append(("failed", str(error)))

    def _typed(self, *objects: Object) -> None:
        assert all((obj["apiVersion"], obj["kind"]) == ("v1", "Pod") for obj in objects)


def pod(name: str, revision: int) -> Object:
    return {"metadata": {"name": name, "namespace": "ns", "resourceVersion": str(revision)}}


def page(revision: int, *names: str, token: str = "") -> Object:
    meta = {"resourceVersion": str(revision), "continue": token} if token else {"resourceVersion": str(revision)}
    return {"kind": "PodList", "apiVersion": "v1", "metadata": meta, "items": [pod(name, revision) for name in names]}


def event(kind: str, name: str, revision: int) -> Object:
    return {"type": kind, "object": {"kind": "Pod", "apiVersion": "v1", **pod(name, revision)}}


class Following:
    def __init__(self, *pages: Object | Exception) -> None:
        self.server, self.seen, self.clock = Server(), Seen(), FakeClock()
        self.server.pages = list(pages)
        selection = Selection(PODS, "ns", "spec.nodeName=n", "app=a")
        self.reflector = Reflector(Client(self.server), selection, self.seen, self.clock, lambda: 0.5)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until a condition, time passing as fast as it is waited for."""
        async with asyncio.timeout(90):
            while not condition():
                self.clock.advance(0.05)
                await asyncio.sleep(0)

    async def watches(self, count: int) -> asyncio.Queue[Object | Exception | None]:
        await self.until(lambda: len(self.server.watches) == count and not self.server.refusals)
        await asyncio.sleep(0)
        return self.server.feeds[-1]


def follow(following: Following, test: Callable[[Following], Awaitable[None]]) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(following.reflector.run())
        try:
            await test(following)
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())


SELECTORS = {"fieldSelector": "spec.nodeName=n", "labelSelector": "app=a"}


def test_pages_are_listed_and_watched_from_the_first_ones_revision() -> None:
    async def test(f: Following) -> None:
        feed = await f.watches(1)
        feed.put_nowait(event("MODIFIED", "a", 9))
        feed.put_nowait({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "12"}}})
        await f.until(lambda: len(f.seen.notes) == 3)
        assert f.seen.notes == [("list", ["a", "b", "c"], 7), ("MODIFIED", "a", 9), ("reached", 12)]
        first = {**SELECTORS, "limit": "500"}
        assert f.server.lists == [first, {**first, "continue": "t1"}, {**first, "continue": "t2"}]
        assert f.server.watches == [
            {
                **SELECTORS,
                "watch": "1",
                "resourceVersion": "7",
                "allowWatchBookmarks": "true",
                "timeoutSeconds": "2700",
            }
        ]

    follow(Following(page(7, "a", token="t1"), page(7, "b", token="t2"), page(7, "c")), test)


@pytest.mark.parametrize("end", [None, ConnectionResetError("gone"), StatusError(500, "InternalError", "oops")])
def test_a_watch_that_ends_is_resumed_where_it_stood(end: Exception | None) -> None:
    async def test(f: Following) -> None:
        (await f.watches(1)).put_nowait(event("ADDED", "b", 9))
        (await f.watches(1)).put_nowait(end)
        await f.watches(2)
        assert [query["resourceVersion"] for query in f.server.watches] == ["7", "9"]
        assert len(f.server.lists) == 1

    follow(Following(page(7, "a")), test)


def test_what_the_server_has_forgotten_is_listed_again() -> None:
    async def test(f: Following) -> None:
        (await f.watches(1)).put_nowait({"type": "ERROR", "object": expired("too old").status()})
        await f.watches(2)
        assert f.seen.notes == [("list", ["a"], 7), ("list", ["b"], 50)]
        assert f.server.watches[1]["resourceVersion"] == "50"

    follow(Following(page(7, "a"), page(50, "b")), test)


def test_a_continue_token_that_expires_makes_one_list_in_one_piece() -> None:
    async def test(f: Following) -> None:
        await f.watches(1)
        assert f.seen.notes == [("list", ["a", "b"], 30)]
        assert f.server.lists[-1] == SELECTORS

    follow(
        Following(page(7, "a", token="t"), expired("the provided continue parameter is too old"), page(30, "a", "b")),
        test,
    )


def test_failures_are_told_and_tried_again_ever_more_slowly() -> None:
    async def test(f: Following) -> None:
        times = []
        for count in range(1, 11):
            await f.until(lambda count=count: len(f.server.lists) == count)  # type: ignore[misc]
            times.append(f.clock.monotonic())
        gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
        assert gaps[:4] == pytest.approx([0.075, 0.15, 0.3, 0.6], abs=0.11)
        assert gaps[-1] == pytest.approx(7.5, abs=0.11)
        await f.watches(1)
        assert [note[0] for note in f.seen.notes] == [*["failed"] * 9, "list"]

    follow(Following(*[ConnectionRefusedError("no")] * 4, *[service_unavailable("starting")] * 5, page(7)), test)


def test_the_server_says_how_long_to_wait() -> None:
    async def test(f: Following) -> None:
        await f.watches(2)
        assert 20 <= f.clock.monotonic() < 20.2

    following = Following(page(7))
    following.server.refusals = [too_many_requests("later", 20)]
    follow(following, test)


def test_watches_that_end_at_once_are_not_opened_in_a_whirl() -> None:
    async def test(f: Following) -> None:
        for count in range(1, 9):
            (await f.watches(count)).put_nowait(None)
        assert f.clock.monotonic() > 4

    follow(Following(page(7)), test)


def test_a_quiet_watch_that_breaks_is_opened_again_soon_every_time() -> None:
    async def test(f: Following) -> None:
        for count in range(1, 12):
            feed = await f.watches(count)
            f.clock.advance(60)
            feed.put_nowait(ConnectionResetError("killed"))
            broke = f.clock.monotonic()
            await f.watches(count + 1)
            assert f.clock.monotonic() - broke < 0.3

    follow(Following(page(7)), test)


def test_an_idle_collection_asks_nothing_for_half_an_hour() -> None:
    async def test(f: Following) -> None:
        await f.watches(1)
        for _ in range(100):
            f.clock.advance(18)
            await asyncio.sleep(0)
        assert (len(f.server.lists), len(f.server.watches)) == (1, 1)

    follow(Following(page(7)), test)
