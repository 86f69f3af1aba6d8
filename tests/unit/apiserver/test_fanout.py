"""One change, many watches: each client gets every event once, in order, however it reads."""

from __future__ import annotations

import asyncio

import orjson
from hypothesis import given
from hypothesis import strategies as st

from knarr.api import registry
from knarr.apiserver.fanout import Fanout, Fanouts
from knarr.apiserver.watch_cache import Change, Collection, Watcher
from knarr.component_base.http import Sink
from knarr.storage.store import Event, KeyValue

PREFIX = "/registry/configmaps/default/"


class Client:
    """A watch and its client: what was sent directly, and what waits since it fell behind."""

    def __init__(self, collection: Collection) -> None:
        self.sink: Sink | None = self
        self.keeps_up = True
        self.got: list[bytes] = []
        self.cut = False
        self.served = asyncio.Event()
        self.watcher = Watcher(PREFIX)
        self._collection = collection

    def ready(self) -> bool:
        return self.keeps_up

    def send(self, data: bytes) -> None:
        size, rest = data.split(b"\r\n", 1)
        assert len(rest) == int(size, 16) + 2
        self.got += rest[:-2].splitlines()
        self.served.set()

    def left_behind(self, changes: list[Change]) -> None:
        self._collection.follow(self.watcher)
        self.watcher.queue.extend(changes)

    def cut_off(self) -> None:
        self.cut = True


def line(change: Change) -> bytes:
    return b"%d\n" % change.entry.revision


def event(revision: int) -> Event:
    body = {"metadata": {"name": "a"}, "data": {"n": str(revision)}, "kind": "ConfigMap", "apiVersion": "v1"}
    return Event(KeyValue(PREFIX + "a", orjson.dumps(body), revision, 1), False, None)


def collection_of() -> Collection:
    return Collection(registry.CONFIGMAPS, "v1")


def fanout_of(collection: Collection) -> Fanout:
    return Fanout(collection, Watcher(PREFIX), line, lambda _: None)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 1)), max_size=12))
def test_every_client_gets_every_event_once_and_in_order(steps: list[tuple[bool, bool, int]]) -> None:
    """A step: whether the pieces go out before it, and which client stops or goes on reading."""

    async def main() -> None:
        collection = collection_of()
        fanout = fanout_of(collection)
        clients = [Client(collection), Client(collection)]
        for client in clients:
            fanout.join(client)
        for revision, (flushes, reads, which) in enumerate(steps, 1):
            clients[which].keeps_up = reads
            collection.apply(event(revision))
            if flushes:
                fanout.flush()
        fanout.flush()
        wanted = [str(number).encode() for number in range(1, len(steps) + 1)]
        for client in clients:
            waiting = [str(change.entry.revision).encode() for change in client.watcher.queue]
            assert client.got + waiting == wanted

    asyncio.run(main())


def test_who_joins_late_has_what_came_before() -> None:
    async def main() -> None:
        collection = collection_of()
        fanout = fanout_of(collection)
        first, second = Client(collection), Client(collection)
        fanout.join(first)
        collection.apply(event(1))
        fanout.join(second)
        collection.apply(event(2))
        fanout.flush()
        assert (first.got, second.got) == ([b"1", b"2"], [b"2"])

    asyncio.run(main())


def test_events_go_out_by_themselves_and_missed_ones_cut() -> None:
    async def main() -> None:
        collection = collection_of()
        fanout = fanout_of(collection)
        client = Client(collection)
        fanout.join(client)
        collection.apply(event(1))
        collection.apply(event(2))
        await asyncio.wait_for(client.served.wait(), 90)
        assert client.got == [b"1", b"2"]
        collection.reload([], 3)
        assert client.cut
        assert not len(fanout)

    asyncio.run(main())


def test_what_serves_nobody_is_forgotten() -> None:
    collection, fanouts = collection_of(), Fanouts()
    clients = [Client(collection) for _ in range(3)]
    joined = [fanouts.join("key", client, lambda: fanout_of(collection)) for client in clients]
    assert len({id(each) for each in joined}) == 1
    for client in clients:
        fanouts.leave("key", client, joined[0])
    assert fanouts.join("key", clients[0], lambda: fanout_of(collection)) is not joined[0]
