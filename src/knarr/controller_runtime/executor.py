"""Carries out what a reconciler ordered, as one identity, and learns from the answers.

A change whose answer was lost is sent again, unchanged, until it is answered: names are chosen before sending, so a
creation that did happen answers AlreadyExists, and nothing is made twice. Until then the key's round goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import orjson

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.controller_runtime.changes import (
    Ask,
    Attempt,
    Change,
    Create,
    Delete,
    DeleteCollection,
    Document,
    EventNote,
    Failure,
    Lookup,
    Patch,
    Told,
    Update,
)
from knarr.controller_runtime.overlay import Overlay

_log = logs.get("controllers")
#: Seconds between attempts of a change whose answer was lost.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
_GATEWAY_TIMEOUT = 504


class Recorder(Protocol):
    """Takes events and writes them in the background."""

    def record(self, note: EventNote, component: str) -> None:
        """Take an event of a component."""
        ...


@dataclass(slots=True)
class Round:
    """How carrying out a round of changes ended."""

    failure: Failure | None = None
    #: The failure is not the reconciler's: it decided on an old state.
    stale: bool = False
    #: Trying again is of no use: the namespace goes away.
    hopeless: bool = False
    #: Something was found that the watches have not shown; look again.
    again: bool = False


@dataclass(frozen=True, slots=True)
class Executor:
    """Sends changes and reads for one controller. `reader` may list everything."""

    client: Client
    reader: Client
    overlay: Overlay
    clock: Clock
    recorder: Recorder
    component: str

    async def carry_out(self, changes: Sequence[Change]) -> Round:
        """Carry out changes in their order, up to the first batch with a failure."""
        ended = Round()
        for batch in batches(changes):
            if len(batch) == 1:
                outcomes = [await self._carry_out(batch[0])]
            else:
                outcomes = await asyncio.gather(*(self._carry_out(change) for change in batch))
            ended.again = ended.again or any(outcome.again for outcome in outcomes)
            failed = [outcome for outcome in outcomes if outcome.failure is not None]
            if failed:
                return replace(min(failed, key=lambda outcome: outcome.stale), again=ended.again)
        return ended

    async def read(self, reads: Sequence[Lookup]) -> dict[Lookup, Object | None]:
        """Live answers. Raises `StatusError` for a failure other than absence."""
        answers = await asyncio.gather(*(self._read(read) for read in reads))
        return dict(zip(reads, answers, strict=True))

    async def _read(self, read: Lookup) -> Object | None:
        pause = _FIRST_PAUSE
        while True:
            try:
                if isinstance(read, Ask):
                    return await self.client.create(read.resource, orjson.loads(read.body))
                if isinstance(read, Attempt):
                    return await self.client.document(read.path, **dict(read.query))
                if isinstance(read, Document):
                    return await self.client.document(read.path)
                if read.name:
                    return await self.client.get(read.resource, read.name, read.namespace)
                return await self.client.list(read.resource, read.namespace)
            except ConnectionError:
                pause = await self._pause(pause)
            except StatusError as error:
                if isinstance(read, Attempt):
                    return error.status()
                if error.code not in (404, 405):
                    raise
                return None

    async def _carry_out(self, change: Change) -> Round:
        pause = _FIRST_PAUSE
        while True:
            try:
                answer = await self._send(change)
            except ConnectionError as error:
                _log.warning("answer lost", controller=self.component, change=describe(change), error=error)
            except StatusError as error:
                if error.code != _GATEWAY_TIMEOUT:
                    return await self._judge(change, error)
                _log.warning("timed out", controller=self.component, change=describe(change), error=error)
            else:
                self._learn(change, answer)
                return self._done(change)
            pause = await self._pause(pause)

    async def _pause(self, pause: float) -> float:
        await self.clock.sleep(pause)
        return min(pause * 2, _LONGEST_PAUSE)

    async def _send(self, change: Change) -> Object:
        client = self.client
        match change:
            case Create(resource, obj):
                return await client.create(resource, obj, obj["metadata"].get("namespace", ""))
            case Update(resource, obj, subresource):
                return await client.update(resource, obj, subresource=subresource)
            case Patch(resource, namespace, name, patch, content_type, subresource, options):
                return await client.patch(
                    resource, name, patch, namespace, content_type=content_type, subresource=subresource, **options
                )
            case Delete(resource, namespace, name):
                return await client.delete(resource, name, namespace, _options(change))
            case DeleteCollection(resource, namespace):
                return await client.delete(resource, "", namespace)

    def _learn(self, change: Change, answer: Object) -> None:
        match change:
            case Create(resource) | Update(resource) | Patch(resource):
                if answer.get("kind") != resource.kind:
                    return
                self.overlay.wrote(resource, answer)
                if _was_last_hold(answer):
                    meta = answer["metadata"]
                    self.overlay.removed(resource, meta.get("namespace", ""), meta["name"], meta.get("uid", ""))
            case Delete(resource, namespace, name, uid):
                if _stays(answer):
                    self.overlay.wrote(resource, answer)
                elif uid := uid or answer.get("metadata", {}).get("uid") or answer.get("details", {}).get("uid", ""):
                    self.overlay.removed(resource, namespace, name, uid)

    async def _judge(self, change: Change, error: StatusError) -> Round:
        """What a refusal means."""
        if _is_gone(change, error):
            if isinstance(change, Delete | Patch) and (uid := _known_uid(change)):
                self.overlay.removed(change.resource, change.namespace, change.name, uid)
            return self._done(change)
        if isinstance(change, Create):
            if error.reason == "AlreadyExists":
                return await self._exists(change, error)
            if _namespace_goes(error):
                return Round(_failure(change, error), hopeless=True)
        if error.code == 409 or (error.code == 404 and isinstance(change, Update)):
            await self._refresh(change)
            return Round(_failure(change, error), stale=True)
        self._note(change.failed, error.message)
        _log.info("change failed", controller=self.component, change=describe(change), error=error.message)
        return Round(_failure(change, error))

    async def _exists(self, change: Create, error: StatusError) -> Round:
        """Success, if the object that is there has the same controller as the one to be created."""
        found = await self._refresh(change)
        if found is not None and _controller(found) == _controller(change.object):
            return replace(self._done(change), again=True)
        return Round(_failure(change, error))

    async def _refresh(self, change: Change) -> Object | None:
        """Read a change's object and show it to the reconciler."""
        resource = change.resource
        namespace, name = _place(change)
        while True:
            try:
                listed = await self.reader.list(resource, namespace, fieldSelector=f"metadata.name={name}")
            except ConnectionError:
                await self.clock.sleep(_FIRST_PAUSE)
                continue
            except StatusError as error:
                _log.warning("not read", controller=self.component, name=name, error=error)
                return None
            items: list[Object] = listed.get("items") or []
            for item in items:
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", resource.kind)
                self.overlay.wrote(resource, item)
            return items[0] if items else None

    def _done(self, change: Change) -> Round:
        self._note(change.done, "")
        _log.debug("done", controller=self.component, change=describe(change))
        return Round()

    def _note(self, told: Told, error: str) -> None:
        notes = (told,) if isinstance(told, EventNote) else told or ()
        for note in notes:
            self.recorder.record(replace(note, message=note.message.replace("{error}", error)), self.component)


def batches(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Split changes so that runs of `Create`, `Delete` or `Patch` of one resource go out in batches of 1, 2, 4, ….

    Patches of one object stay in their order.
    """
    start = 0
    size = 1
    while start < len(changes):
        end = start + 1
        taken = {_place(changes[start])}
        while end < min(start + size, len(changes)) and _together(changes[start], changes[end]):
            if isinstance(changes[end], Patch) and _place(changes[end]) in taken:
                break
            taken.add(_place(changes[end]))
            end += 1
        yield changes[start:end]
        size = size * 2 if end < len(changes) and _together(changes[start], changes[end]) else 1
        start = end


def _together(one: Change, other: Change) -> bool:
    if isinstance(one, DeleteCollection):
        return isinstance(other, DeleteCollection)
    return type(one) is type(other) and isinstance(one, Create | Delete | Patch) and one.resource is other.resource


def describe(change: Change) -> str:
    """`create pods default/a`, for logs."""
    subresource = change.subresource if isinstance(change, Update | Patch) else ""
    what = change.resource.plural + (f"/{subresource}" if subresource else "")
    return f"{type(change).__name__.lower()} {what} {'/'.join(_place(change)).removeprefix('/')}"


def _place(change: Change) -> tuple[str, str]:
    """Namespace and name of what is changed; without a name it is all of a namespace."""
    match change:
        case Create(_, obj) | Update(_, obj):
            return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        case Patch(_, namespace, name) | Delete(_, namespace, name):
            return namespace, name
        case DeleteCollection(_, namespace):
            return namespace, ""


def _options(change: Delete) -> Object:
    options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
    preconditions = {"uid": change.uid, "resourceVersion": change.resource_version}
    if set_ones := {name: value for name, value in preconditions.items() if value}:
        options["preconditions"] = set_ones
    if change.propagation:
        options["propagationPolicy"] = change.propagation
    if change.grace is not None:
        options["gracePeriodSeconds"] = change.grace
    return options


def _stays(answer: Object) -> bool:
    """Whether the answer to a delete is an object that is still there."""
    meta = answer.get("metadata") or {}
    if answer.get("kind") == "Status" or not meta.get("resourceVersion"):
        return False
    return bool(meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"))


def _was_last_hold(answer: Object) -> bool:
    """Whether a write took away what kept an object that is being deleted, so that it is gone now."""
    meta = answer["metadata"]
    return bool(meta.get("deletionTimestamp")) and not (_stays(answer) or (answer.get("spec") or {}).get("finalizers"))


def _known_uid(change: Delete | Patch) -> str:
    """The uid that a change insists on, or an empty text."""
    if isinstance(change, Delete):
        return change.uid
    meta = change.patch.get("metadata") if isinstance(change.patch, dict) else None
    return str((meta or {}).get("uid") or "")


def _is_gone(change: Change, error: StatusError) -> bool:
    """Whether what was to be deleted or patched is gone already, or has been replaced by a namesake."""
    if isinstance(change, Delete) and error.code == 409:
        return bool(change.uid) and not change.resource_version
    return error.code == 404 and isinstance(change, Delete | Patch | DeleteCollection)


def _namespace_goes(error: StatusError) -> bool:
    causes = (error.details or {}).get("causes") or ()
    return error.code == 403 and any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


def _failure(change: Change, error: StatusError) -> Failure:
    return Failure(change, error.code, error.reason, error.message)


def _controller(obj: Object) -> str:
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner.get("controller")), "")
