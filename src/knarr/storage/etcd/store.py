"""`Store` over an etcd: keys and revisions are etcd's own, every guard is a transaction on a key's mod revision.

Several servers may share the etcd. Reads are linearizable unless they name a revision.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, cast

from knarr.component_base.tasks import Tasks
from knarr.storage.etcd.client import Client, RefusedError
from knarr.storage.etcd.compaction import KEY, PERIOD, Compactor
from knarr.storage.etcd.endpoints import TlsFiles, parse
from knarr.storage.etcd.leases import Leases
from knarr.storage.etcd.messages import DELETE, Target
from knarr.storage.store import (
    CompactedError,
    ConflictError,
    Event,
    KeyExistsError,
    KeyNotFoundError,
    KeyValue,
    Page,
    StoreError,
    StoreUnavailableError,
)
from knarr.wire.messages import Message

_KV = "/etcdserverpb.KV/"
#: The whole key space, as a range.
_ALL = b"\0"


class EtcdStore:
    """Implements `Store` and `Expiring`. Make it with `open`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._leases = Leases(client)
        self._tasks = Tasks()
        #: The answer to whoever asks for the revision before the next reading begins.
        self._asked: asyncio.Future[int] | None = None
        self._reading = False

    @classmethod
    async def open(cls, endpoints: str, tls: TlsFiles = TlsFiles(), *, period: float = PERIOD) -> EtcdStore:  # noqa: B008
        """Connect; the store is compacted every `period` seconds (0: never). Raises `StoreError`."""
        try:
            client = Client(parse(endpoints), tls)
        except (ValueError, OSError) as error:
            raise StoreError(f"etcd: {error}") from error
        store = cls(client)
        try:
            await store.revision()
        except StoreError:
            await store.close()
            raise
        if period:
            store._compact_every(period)
        return store

    async def revision(self) -> int:
        """See `Store`. Those who ask while a reading is under way share the next one."""
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
            if not self._reading:
                self._reading = True
                self._tasks.start(self._answer(), "etcd-revision")
        return await asyncio.shield(self._asked)

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        """See `Store`."""
        answer = await self._range({"key": key.encode(), "revision": revision})
        return _key_value(answer["kvs"][0]) if answer["kvs"] else None

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See `Store`."""
        begin = after.encode() + b"\0" if after > prefix else prefix.encode() or _ALL
        request = {"key": begin, "range_end": _end(prefix), "limit": limit, "revision": revision}
        answer = await self._range(request)
        items = [_key_value(kv) for kv in answer["kvs"]]
        return Page(items, revision or answer["header"]["revision"], answer["count"] - len(items))

    async def create(self, key: str, value: bytes) -> int:
        """See `Store`."""
        return await self._put(key, value, 0, 0)

    async def create_for(self, key: str, value: bytes, seconds: int) -> int:
        """See `Expiring`."""
        return await self._put(key, value, 0, await self._leases.take(seconds))

    async def update(self, key: str, value: bytes, expected: int) -> int:
        """See `Store`."""
        return await self._put(key, value, expected, 0)

    async def update_for(self, key: str, value: bytes, expected: int, seconds: int) -> int:
        """See `Expiring`."""
        return await self._put(key, value, expected, await self._leases.take(seconds))

    async def delete(self, key: str, expected: int) -> int:
        """See `Store`."""
        return await self._guarded(key, expected, {"request_delete_range": {"key": key.encode()}})

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Sequence[Event]]:
        """See `Store`. Ends with `StoreUnavailableError` when the connection does."""
        # Beginning at the last seen revision and not behind it, etcd refuses exactly what lies before its compaction.
        request = {
            "key": prefix.encode() or _ALL,
            "range_end": _end(prefix),
            "start_revision": max(after, 1),
            "prev_kv": True,
        }
        async with aclosing(cast(Any, self._client.watch(request))) as responses:
            async for response in responses:
                if response["compact_revision"]:
                    raise CompactedError(response["compact_revision"])
                if response["canceled"]:
                    raise StoreUnavailableError(f"etcd ended the watch: {response['cancel_reason']}")
                if events := [event for one in response["events"] if (event := _event(one)).kv.mod_revision > after]:
                    yield events
        raise StoreUnavailableError("etcd ended the watch")

    async def compact(self, revision: int) -> None:
        """See `Store`."""
        revision = min(revision, await self.revision())
        try:
            await self._client.read(
                "/etcdserverpb.KV/Compact", "CompactionRequest", {"revision": revision}, "CompactionResponse"
            )
        except RefusedError as error:
            # Somebody has compacted further already.
            if not error.past:
                raise

    async def close(self) -> None:
        """See `Store`."""
        await self._tasks.close()
        await self._client.close()

    async def _answer(self) -> None:
        """Read the revision for those who have asked, until nobody has."""
        while (asked := self._asked) is not None:
            self._asked = None
            try:
                answer = await self._range({"key": KEY, "count_only": True})
            except StoreError as error:
                asked.set_exception(error)
                # Everybody may have gone.
                asked.exception()
            except asyncio.CancelledError:
                asked.cancel()
                raise
            else:
                asked.set_result(answer["header"]["revision"])
        self._reading = False

    def _compact_every(self, period: float) -> None:
        compactor = Compactor(self._client, self.compact)
        self._tasks.forever(lambda: _turn(compactor, period), "etcd-compaction", pause=0.0)

    async def _range(self, request: Message) -> Message:
        try:
            return await self._client.read(_KV + "Range", "RangeRequest", request, "RangeResponse")
        except RefusedError as error:
            if error.past:
                raise CompactedError(await self._oldest()) from error
            raise

    async def _oldest(self) -> int:
        """The revision up to which etcd is compacted: only a watch that comes too late is told."""
        request = {"key": KEY, "start_revision": 1}
        async with aclosing(cast(Any, self._client.watch(request))) as responses:
            async for response in responses:
                if response["compact_revision"] or response["events"]:
                    compacted: int = response["compact_revision"]
                    return compacted
        return 0

    async def _put(self, key: str, value: bytes, expected: int, lease: int) -> int:
        put = {"request_put": {"key": key.encode(), "value": value, "lease": lease}}
        return await self._guarded(key, expected, put)

    async def _guarded(self, key: str, expected: int, change: Message) -> int:
        """Carry out a change if the key is at a revision, 0 standing for absent; gives the change's revision."""
        request = {
            "compare": [{"target": Target.MOD, "key": key.encode(), "mod_revision": expected}],
            "success": [change],
            "failure": [{"request_range": {"key": key.encode()}}],
        }
        answer = await self._client.write(_KV + "Txn", "TxnRequest", request, "TxnResponse")
        if answer["succeeded"]:
            revision: int = answer["header"]["revision"]
            return revision
        found = answer["responses"][0]["response_range"]["kvs"]
        if not found:
            raise KeyNotFoundError(key)
        if not expected:
            raise KeyExistsError(key)
        raise ConflictError(_key_value(found[0]))


async def _turn(compactor: Compactor, period: float) -> None:
    await asyncio.sleep(period)
    await compactor.turn()


def _end(prefix: str) -> bytes:
    """The end of the range of keys that begin with a prefix."""
    data = prefix.encode()
    return data[:-1] + bytes([data[-1] + 1]) if data else _ALL


def _key_value(kv: Message) -> KeyValue:
    return KeyValue(kv["key"].decode(errors="replace"), kv["value"], kv["mod_revision"], kv["create_revision"])


def _event(one: Message) -> Event:
    """An event; a deletion shows the last state. Raises `CompactedError` when that is gone."""
    kv, previous = one["kv"], one.get("prev_kv")
    before = _key_value(previous) if previous else None
    if one["type"] != DELETE:
        return Event(_key_value(kv), deleted=False, previous=before)
    if before is None:
        raise CompactedError(kv["mod_revision"])
    return Event(before._replace(mod_revision=kv["mod_revision"]), deleted=True, previous=before)
