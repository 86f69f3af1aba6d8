"""Cluster IPs and node ports among servers of one store: each number is claimed in the store before a Service has it.

A cluster IP is claimed by making its IPAddress object, a node port by its bit in the RangeAllocation that Kubernetes
keeps at the same key. What a dead server has claimed for nothing is found by `repair`.
Source of the rules: pkg/registry/core/service/ipallocator, portallocator and their repair controllers.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Collection, Iterable

import orjson

from knarr.apimachinery.errors import StatusError, internal
from knarr.apimachinery.types import Object
from knarr.apiserver import read
from knarr.apiserver.allocators import AddressRange, NumberRange, PortRange
from knarr.apiserver.context import Context
from knarr.apiserver.hooks import Finish
from knarr.apiserver.ip_addresses import IPAddresses
from knarr.apiserver.services import Number, ServiceHooks, Transaction
from knarr.apiserver.watch_cache import Change
from knarr.apiserver.watch_cache import Collection as Cached
from knarr.component_base import logs
from knarr.component_base.tasks import Tasks
from knarr.storage.store import ConflictError, KeyExistsError, StoreError

PORTS_KEY = "/registry/ranges/servicenodeports"
#: Seconds between two repairs.
REPAIR = 180.0
_ATTEMPTS = 50
_log = logs.get("apiserver")


class TakenError(Exception):
    """Another server has the number."""

    def __init__(self, source: NumberRange, number: int) -> None:
        super().__init__(f"{number} is taken")
        self.source = source
        self.number = number


class ServiceClaims:
    """The claims of one server; implements `hooks.Claims`."""

    def __init__(self, ctx: Context, hooks: ServiceHooks, addresses: IPAddresses, tasks: Tasks) -> None:
        self._ctx = ctx
        self._hooks = hooks
        self._addresses = addresses
        self._tasks = tasks
        self._ports = PortClaims(ctx, hooks)
        #: Numbers of writes that are under way, as often as writes have them.
        self._open: list[Number] = []
        #: Ports that the last repair found claimed by no Service.
        self._suspects: set[int] = set()

    def on_change(self, collection: Cached, change: Change) -> None:
        """Follow the Services of all servers."""
        if (collection.resource.plural, collection.resource.group) == ("services", ""):
            self._hooks.on_change(change)

    async def begin(self, start: Callable[[], Finish], obj: Object) -> Finish:
        """See `hooks.Claims`."""
        before = copy.deepcopy(obj["spec"])
        others: list[Number] = []
        try:
            for _ in range(_ATTEMPTS):
                try:
                    return await self._once(start, obj)
                except TakenError as error:
                    # A number that was asked for is refused the next time, another one is chosen anew.
                    error.source.take(error.number)
                    others.append((error.source, error.number))
                    obj["spec"] = copy.deepcopy(before)
        finally:
            # Whose they are is for the Services to say: they may be free again in a moment.
            for source, number in others:
                if number not in self._wanted(source):
                    source.release(number)
        raise internal("failed to allocate: other servers were faster each time")

    async def _once(self, start: Callable[[], Finish], obj: Object) -> Finish:
        transaction = start()
        if not isinstance(transaction, Transaction):
            raise TypeError("a Service's write begins with a transaction")
        self._open += transaction.taken
        try:
            await self._claim(transaction.taken, obj)
        except BaseException:
            self._abandon(transaction)
            raise
        return self._finish(transaction)

    def give_back(self, numbers: Iterable[Number]) -> None:
        """Release the claims of numbers that a Service has let go, soon."""
        if gone := list(numbers):
            self._tasks.start(self._release(gone), "service-claims")

    async def repair(self) -> None:
        """Make claims that are missing, remove those of no Service, forget what is only remembered here."""
        await self._fresh()
        await self._addresses.repair()
        used = await self._ports.read()
        wanted = self._wanted(self._hooks.ports)
        leaked = used - wanted - {number for source, number in self._open if source is self._hooks.ports}
        await self._ports.change(take=wanted - used, give=leaked & self._suspects, lenient=True)
        self._suspects = leaked
        for source in (self._hooks.addresses, self._hooks.ports):
            source.keep_only(self._wanted(source) | {number for owner, number in self._open if owner is source})

    async def repair_forever(self) -> None:
        """Repair again and again."""
        while True:
            await self._ctx.clock.sleep(REPAIR)
            await self.repair()

    def _finish(self, transaction: Transaction) -> Finish:
        def finish(done: bool) -> None:  # noqa: FBT001 - the shape of Finish
            if done:
                # The change has come through the cache: the numbers are moved here already.
                self._close(transaction)
                self.give_back(transaction.released)
            else:
                self._abandon(transaction)
                self.give_back(transaction.taken)

        return finish

    def _close(self, transaction: Transaction) -> None:
        for number in transaction.taken:
            self._open.remove(number)

    def _abandon(self, transaction: Transaction) -> None:
        self._close(transaction)
        transaction(False)

    async def _claim(self, numbers: Collection[Number], obj: Object) -> None:
        ports = {number for source, number in numbers if isinstance(source, PortRange)}
        made: list[Number] = []
        try:
            for source, number in numbers:
                if isinstance(source, AddressRange):
                    try:
                        await self._addresses.claim(source.show(number), obj)
                    except KeyExistsError as error:
                        raise TakenError(source, number) from error
                    made.append((source, number))
            if ports:
                await self._ports.change(take=ports, give=())
        except BaseException:
            self.give_back(made)
            raise

    async def _release(self, numbers: Collection[Number]) -> None:
        try:
            await self._fresh()
            # A write whose answer was lost may have happened: then the numbers are in use.
            free = [item for item in numbers if item[1] not in self._wanted(item[0]) and item not in self._open]
            for source, number in free:
                if isinstance(source, AddressRange):
                    await self._addresses.release(source.show(number))
            if ports := {number for source, number in free if isinstance(source, PortRange)}:
                await self._ports.change(take=(), give=ports)
        except (StoreError, StatusError) as error:
            _log.warning("claims are left to the next repair", numbers=[number for _, number in numbers], error=error)

    async def _fresh(self) -> None:
        await read.reach(self._ctx, await self._ctx.store.revision(), read.PATIENCE)

    def _wanted(self, source: NumberRange) -> set[int]:
        services = self._ctx.reader.list("services", "")
        return {number for one in services for owner, number in self._hooks.numbers(one["spec"]) if owner is source}


class PortClaims:
    """The node ports that are claimed, as one object of the store."""

    def __init__(self, ctx: Context, hooks: ServiceHooks) -> None:
        self._ctx = ctx
        self._range = hooks.ports

    async def read(self) -> set[int]:
        """The claimed ports."""
        found = await self._ctx.store.get(PORTS_KEY)
        return self._decode(found.value) if found is not None else set()

    async def change(self, *, take: Collection[int], give: Collection[int], lenient: bool = False) -> None:
        """Claim and release ports at once. Raises `TakenError` for one that is claimed, unless `lenient`."""
        found = await self._ctx.store.get(PORTS_KEY)
        while True:
            used = self._decode(found.value) if found is not None else set()
            if not lenient and (taken := used & set(take)):
                raise TakenError(self._range, min(taken))
            changed = (used | set(take)) - set(give)
            if changed == used:
                return
            try:
                if found is None:
                    await self._ctx.store.create(PORTS_KEY, self._encode(changed))
                else:
                    await self._ctx.store.update(PORTS_KEY, self._encode(changed), found.mod_revision)
                return
            except ConflictError as error:
                found = error.current
            except KeyExistsError:
                found = await self._ctx.store.get(PORTS_KEY)

    def _encode(self, used: Collection[int]) -> bytes:
        bits = sum(1 << (number - self._range.first) for number in used)
        data = base64.b64encode(bits.to_bytes((bits.bit_length() + 7) // 8, "big")).decode()
        span = f"{self._range.first}-{self._range.last}"
        obj = {"metadata": {}, "range": span, "data": data, "kind": "RangeAllocation", "apiVersion": "v1"}
        return orjson.dumps(obj)

    def _decode(self, value: bytes) -> set[int]:
        obj = orjson.loads(value)
        first = int(obj["range"].partition("-")[0])
        bits = int.from_bytes(base64.b64decode(obj["data"]), "big")
        return {first + at for at in range(bits.bit_length()) if bits >> at & 1}
