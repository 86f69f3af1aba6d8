"""Charges writes to the quotas of their namespace, exactly, however many come at once.

What `admission.resource_quota` decides is written to the status of the quotas, guarded by their revision, before the
object itself is stored. Writes to one namespace that wait at the same time are charged together, in their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from knarr.api import registry
from knarr.api.semantics.resource_lists import Resources, shown
from knarr.apimachinery.errors import MODIFIED, StatusError, conflict, internal
from knarr.apimachinery.types import Object
from knarr.apiserver.admission import resource_quota
from knarr.apiserver.admission.resource_quota import Limited
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.cache_reader import decode
from knarr.apiserver.context import Context
from knarr.apiserver.watch_cache import Entry
from knarr.component_base.tasks import Tasks
from knarr.storage.store import ConflictError, KeyNotFoundError

#: How often a charge is tried against quotas that others change.
_ATTEMPTS = 4
_MANAGER = "kube-apiserver"


@dataclass(slots=True, eq=False)
class _Waiter:
    """A write that waits to be charged."""

    attributes: Attributes
    done: asyncio.Future[None]

    def pass_(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, error: StatusError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class QuotaAccounting:
    """The admission step ResourceQuota."""

    name = "ResourceQuota"

    def __init__(self, ctx: Context, tasks: Tasks, limited: Sequence[Limited] = ()) -> None:
        """`limited` says what may only be used where a quota covers it."""
        self._ctx = ctx
        self._limited = tuple(limited)
        self._limits = frozenset((rule.resource, rule.group) for rule in limited)
        self._tasks = tasks
        self._scope = ctx.served.of(registry.RESOURCEQUOTAS)
        #: The writes that wait, by namespace; a namespace is in here as long as a task looks after it.
        self._waiting: dict[str, list[_Waiter]] = {}

    def idle(self, attributes: Attributes) -> bool:
        """Whether no quota can be about a write."""
        return not self._has_quotas(attributes.namespace) and not (self._limits and attributes.kind_key in self._limits)

    async def validate(self, attributes: Attributes) -> None:
        """Charge a write. Raises `StatusError` if it does not fit into a quota."""
        namespace = attributes.namespace
        if self.idle(attributes) or resource_quota.measure_of(attributes) is None:
            return
        waiter = _Waiter(attributes, asyncio.get_running_loop().create_future())
        if namespace in self._waiting:
            self._waiting[namespace].append(waiter)
        else:
            self._waiting[namespace] = [waiter]
            self._tasks.start(self._serve(namespace), "resource-quota")
        await waiter.done

    def _has_quotas(self, namespace: str) -> bool:
        keep = self._scope.keep
        return bool(keep.entries and namespace and keep.count(self._scope.prefix(namespace)))

    async def _serve(self, namespace: str) -> None:
        batch: list[_Waiter] = []
        try:
            while self._waiting[namespace]:
                batch, self._waiting[namespace] = self._waiting[namespace], []
                await self._charge(batch, list(self._scope.keep.range(self._scope.prefix(namespace))))
        finally:
            for waiter in (*batch, *self._waiting.pop(namespace)):
                # Nothing is left here but after a failure, which the task's owner logs.
                waiter.fail(internal("resource quota could not be evaluated"))

    async def _charge(self, batch: Sequence[_Waiter], entries: Sequence[Entry]) -> None:
        """Decide on all writes of a batch, write down what they use, and tell them; anew where others came first."""
        for _ in range(_ATTEMPTS):
            quotas = [decode(self._scope.keep, entry) for entry in entries]
            used = {_name(quota): resource_quota.used_of(quota) for quota in quotas}
            batch, changed = self._decide(batch, quotas, used)
            lost: list[Entry] = []
            for entry, quota in zip(entries, quotas, strict=True):
                if _name(quota) in changed:
                    lost += await self._write(entry, quota, used[_name(quota)])
            if not lost:
                for waiter in batch:
                    waiter.pass_()
                return
            # Quotas that took the charge keep it; who waits is only tried against the others.
            entries = lost
        for waiter in batch:
            waiter.fail(conflict("resourcequotas", "", entries[0].head.metadata.name, MODIFIED))

    def _decide(
        self, batch: Sequence[_Waiter], quotas: Sequence[Object], used: dict[str, Resources]
    ) -> tuple[list[_Waiter], set[str]]:
        """Tell those that do not fit, and those that cost nothing; `used` grows by what the others cost."""
        open_: list[_Waiter] = []
        changed: set[str] = set()
        now = self._ctx.clock.now()
        for waiter in batch:
            try:
                charged = resource_quota.charge(waiter.attributes, quotas, used, now, self._limited)
            except StatusError as error:
                waiter.fail(error)
                continue
            if waiter.attributes.dry_run or not charged:
                waiter.pass_()
                continue
            used.update(charged)
            changed |= charged.keys()
            open_.append(waiter)
        return open_, changed

    async def _write(self, entry: Entry, quota: Object, used: Resources) -> list[Entry]:
        """Write what a quota has used; its state now if somebody else changed it. One that is gone limits nothing."""
        status = {**(quota.get("status") or {}), "used": shown(used)}
        new = {**quota, "metadata": dict(quota["metadata"]), "status": status}
        manager = self._ctx.field_manager
        if manager is not None:
            manager.update(self._scope.resource, new, quota, _MANAGER, "status")
        try:
            await self._ctx.writer.update(self._scope, entry, new)
        except ConflictError as error:
            return [self._scope.keep.entry_of(error.current)]
        except KeyNotFoundError:
            return []
        return []


def _name(quota: Object) -> str:
    name: str = quota["metadata"]["name"]
    return name
