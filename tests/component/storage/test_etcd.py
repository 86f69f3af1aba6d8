"""Stores on one real etcd: several writers, etcd killed and started again, compaction, keys that end by themselves."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
from tests.etcd import Etcd, folder, needs_etcd
from tests.etcd import running as etcd_running

from knarr.component_base import certificates
from knarr.component_base.clock import RealClock
from knarr.storage.etcd import client as etcd_client
from knarr.storage.etcd.endpoints import TlsFiles
from knarr.storage.etcd.store import EtcdStore
from knarr.storage.store import CompactedError, ConflictError, Event, StoreError, StoreUnavailableError

pytestmark = needs_etcd


@pytest.fixture
def etcd() -> Iterator[Etcd]:
    with etcd_running() as server:
        yield server


def run(endpoints: str, test: Callable[[EtcdStore, EtcdStore], Awaitable[None]], period: float = 0) -> None:
    """Two stores, as two servers have them."""

    async def main() -> None:
        one, two = [await EtcdStore.open(endpoints, period=period) for _ in range(2)]
        try:
            await asyncio.wait_for(test(one, two), 90)
        finally:
            await one.close()
            await two.close()

    asyncio.run(main())


async def follow(store: EtcdStore, seen: list[Event], after: int) -> None:
    """Collect events for good, going on behind the last one whenever the watch breaks."""
    while True:
        try:
            async with aclosing(cast(Any, store.watch("/", seen[-1].kv.mod_revision if seen else after))) as watch:
                async for batch in watch:
                    seen += batch
        except StoreUnavailableError:
            await asyncio.sleep(0.02)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def count_up(store: EtcdStore, times: int) -> None:
    for _ in range(times):
        current = await store.get("/counter")
        assert current is not None
        while True:
            try:
                await store.update("/counter", b"%d" % (int(current.value) + 1), current.mod_revision)
                break
            except ConflictError as error:
                current = error.current


def test_two_stores_lose_no_update_and_see_the_same_history(etcd: Etcd) -> None:
    async def test(one: EtcdStore, two: EtcdStore) -> None:
        start = await one.create("/counter", b"0")
        heard: list[list[Event]] = [[], []]
        tasks = [
            asyncio.ensure_future(follow(store, seen, start)) for store, seen in zip((one, two), heard, strict=True)
        ]
        await asyncio.gather(*(count_up(store, 25) for store in (one, two, one, two)))
        await until(lambda: all(len(seen) == 100 for seen in heard))
        assert [int(event.kv.value) for event in heard[0]] == list(range(1, 101))
        assert heard[0] == heard[1]
        # What one has written the other reads, without waiting.
        revision = await two.create("/made", b"")
        assert await one.revision() >= revision
        for task in tasks:
            task.cancel()

    run(etcd.endpoint, test)


def test_a_killed_etcd_loses_nothing_acknowledged_and_no_event(etcd: Etcd) -> None:
    acknowledged: dict[str, int] = {}
    over = asyncio.Event()

    async def write(store: EtcdStore, worker: int) -> None:
        for number in itertools.count():
            if over.is_set():
                return
            key = f"/w/{worker}/{number}"
            try:
                acknowledged[key] = await store.create(key, b"x")
            except StoreUnavailableError:
                # Its fate is unknown: the next has a key of its own.
                await asyncio.sleep(0.02)

    async def test(one: EtcdStore, two: EtcdStore) -> None:
        seen: list[Event] = []
        tasks = [asyncio.ensure_future(follow(two, seen, await two.revision()))]
        tasks += [asyncio.ensure_future(write(one, worker)) for worker in range(4)]
        for _ in range(2):
            goal = len(acknowledged) + 100
            await until(lambda goal=goal: len(acknowledged) >= goal)  # type: ignore[misc]
            etcd.kill()
            await asyncio.to_thread(etcd.start)
        goal = len(acknowledged) + 50
        await until(lambda: len(acknowledged) >= goal)
        # Who is cancelled may have written something all the same: they end by themselves.
        over.set()
        await asyncio.gather(*tasks[1:])
        page = await two.list("/w/")
        await until(lambda: seen[-1].kv.mod_revision == page.revision)
        tasks[0].cancel()
        revisions = [event.kv.mod_revision for event in seen]
        assert revisions == list(range(revisions[0], revisions[0] + len(revisions)))
        assert {event.kv.key for event in seen} == {kv.key for kv in page.items}
        found = {kv.key: kv.mod_revision for kv in page.items}
        assert {key: found.get(key) for key in acknowledged} == acknowledged

    run(etcd.endpoint, test)


def test_of_three_members_any_may_be_killed() -> None:
    """Writes go on at another member, whoever of them led; the watch goes on where it was."""
    names = ("a", "b", "c")
    with folder() as path:
        members = [Etcd(path, name, names) for name in names]

        async def test(one: EtcdStore, two: EtcdStore) -> None:
            seen: list[Event] = []
            start = await two.create("/counter", b"0")
            task = asyncio.ensure_future(follow(two, seen, start))
            done = 0
            for member in members:
                member.kill()
                for _ in range(10):
                    done += await count_once(one)
                member.launch()
                await asyncio.to_thread(member.wait)
                for _ in range(5):
                    done += await count_once(two)
            final = await one.get("/counter")
            assert final is not None
            await until(lambda: bool(seen) and seen[-1].kv.mod_revision == final.mod_revision)
            task.cancel()
            # A write whose answer was lost may have happened: at least what was promised is there, and each step came.
            assert int(final.value) >= done
            assert [int(event.kv.value) for event in seen] == list(range(1, int(final.value) + 1))

        try:
            for member in members:
                member.launch()
            for member in members:
                member.wait()
            run(",".join(member.endpoint for member in members), test)
        finally:
            for member in members:
                member.kill()


async def count_once(store: EtcdStore) -> int:
    """One step, promised (1) or not (0); waits for a leader as long as an election takes."""
    async with asyncio.timeout(90):
        while True:
            try:
                current = await store.get("/counter")
                assert current is not None
                await store.update("/counter", b"%d" % (int(current.value) + 1), current.mod_revision)
                return 1
            except StoreUnavailableError:
                await asyncio.sleep(0.05)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for a member that does not answer."""
    monkeypatch.setattr(etcd_client, "PATIENCE", 0.5)


@pytest.mark.usefixtures("hasty")
def test_tls_with_certificates_of_both_sides(tmp_path: Path) -> None:
    now = RealClock().now()
    authority = certificates.Authority.load_or_create(tmp_path, "ca", now)
    served = certificates.Leaf("etcd", dns=("localhost",), ips=("127.0.0.1",), server=True)
    server = certificates.leaf_files(authority, tmp_path, "server", served, now)
    client = certificates.leaf_files(authority, tmp_path, "client", certificates.Leaf("knarr", client=True), now)
    trusted = f"{tmp_path}/ca.crt"
    flags = (
        f"--cert-file={server[0]}",
        f"--key-file={server[1]}",
        f"--trusted-ca-file={trusted}",
        "--client-cert-auth",
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    etcd = Etcd(tmp_path / "etcd", port=port, extra=(*flags, "--client-cert-auth"))

    async def main() -> None:
        store = await EtcdStore.open(etcd.endpoint, TlsFiles(trusted, str(client[0]), str(client[1])), period=0)
        assert await store.create("/a", b"1") > 0
        await store.close()
        with pytest.raises(StoreUnavailableError):
            await EtcdStore.open(etcd.endpoint, TlsFiles(trusted), period=0)
        with pytest.raises(StoreUnavailableError, match="(?i)certificate.verify.failed"):
            await EtcdStore.open(etcd.endpoint, TlsFiles(), period=0)

    try:
        etcd.start()
        asyncio.run(main())
    finally:
        etcd.kill()


def test_an_endpoint_that_is_gone_is_passed_over(etcd: Etcd) -> None:
    async def test(one: EtcdStore, two: EtcdStore) -> None:
        revision = await one.create("/a", b"1")
        assert await two.revision() == revision

    run(f"unix://{etcd.folder}/nobody,http://127.0.0.1:1,{etcd.endpoint}", test)


@pytest.mark.usefixtures("hasty")
def test_no_etcd_is_a_clear_error(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(StoreUnavailableError, match="not reachable: unix:///.*/nobody"):
            await EtcdStore.open(f"unix://{tmp_path}/nobody")
        with pytest.raises(StoreError, match="no endpoint"):
            await EtcdStore.open("mysql://host/db")

    asyncio.run(main())


def test_servers_compact_in_turns_and_only_what_is_old(etcd: Etcd) -> None:
    async def test(one: EtcdStore, two: EtcdStore) -> None:
        revision = first = await one.create("/a", b"0")
        oldest = 0
        async with asyncio.timeout(90):
            while not oldest:
                revision = await one.update("/a", b"x", revision)
                try:
                    await two.get("/a", first)
                except CompactedError as error:
                    oldest = error.oldest
        guard = await one.get("compact_rev_key")
        assert guard is not None
        assert int(guard.value) <= oldest <= await two.revision()
        kept = await two.get("/a", oldest)
        assert kept is not None

    run(etcd.endpoint, test, period=0.3)


def test_a_key_for_a_time_ends_by_itself(etcd: Etcd) -> None:
    async def test(one: EtcdStore, two: EtcdStore) -> None:
        seen: list[Event] = []
        task = asyncio.ensure_future(follow(two, seen, await two.revision()))
        made = await one.create_for("/short", b"1", 2)
        changed = await two.update_for("/short", b"2", made, 2)
        await one.create("/long", b"")
        await until(lambda: len(seen) == 4)
        task.cancel()
        assert [(event.kv.key, event.deleted) for event in seen[2:]] == [("/long", False), ("/short", True)]
        assert seen[3].previous is not None
        assert seen[3].previous.mod_revision == changed
        assert await one.get("/short") is None

    run(etcd.endpoint, test)
