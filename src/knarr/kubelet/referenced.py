"""The ConfigMaps and Secrets that this node's pods refer to, each followed by a watch of its own.

The Node authorizer lets a kubelet read exactly these, one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from knarr.api.resources import Resource
from knarr.apimachinery import fields
from knarr.apimachinery.errors import StatusError, not_found
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.kubelet import references
from knarr.kubelet.references import Reference

_log = logs.get("kubelet.referenced")
#: Seconds until a failed watch is tried again: the first time, and at most.
_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
#: A watch that the server ends sooner than this many seconds is not opened again at once.
_SHORT = 1.0
#: Seconds that a reader waits for the first answer.
_PATIENCE = 5.0


class NotRead(StatusError):
    """An object could not be read yet; the pod's next try may find it."""

    def __init__(self, reference: Reference, why: str) -> None:
        super().__init__(504, "Timeout", f"failed to sync {reference.resource.singular} cache: {why}")


@dataclass(slots=True, eq=False)
class _Followed:
    """One object: None while it does not exist. `users` are uids of pods."""

    reference: Reference
    users: set[str] = field(default_factory=set)
    object: Object | None = None
    read: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: str = "timed out waiting for the condition"
    task: asyncio.Task[None] | None = None


class Referenced:
    """Counts the pods that need an object and watches it while there is one."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._tasks = Tasks()
        self._followed: dict[Reference, _Followed] = {}
        self._pods: dict[str, frozenset[Reference]] = {}
        self._listeners: list[Callable[[Reference], None]] = []

    def listen(self, callback: Callable[[Reference], None]) -> None:
        """Call `callback` whenever an object came, changed or went (not for the first reading)."""
        self._listeners.append(callback)

    def add(self, pod: Object) -> None:
        """Follow what a pod refers to; repeat it when the pod has changed."""
        uid = pod["metadata"]["uid"]
        wanted = references.of_pod(pod)
        before = self._pods.get(uid, frozenset())
        self._pods[uid] = wanted
        for reference in wanted - before:
            self._follow(reference).users.add(uid)
        self._release(uid, before - wanted)

    def remove(self, uid: str) -> None:
        """Forget a pod and what only it referred to."""
        self._release(uid, self._pods.pop(uid, frozenset()))

    def users(self, reference: Reference) -> frozenset[str]:
        """Uids of the pods that refer to an object."""
        followed = self._followed.get(reference)
        return frozenset(followed.users) if followed else frozenset()

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """An object that an added pod refers to. Raises `StatusError`: 404, or `NotRead` when the server is silent."""
        reference = Reference(resource, namespace, name)
        followed = self._followed.get(reference)
        if followed is None:
            raise StatusError(500, "", f'object "{namespace}"/"{name}" not registered')
        if not followed.read.is_set():
            await self._until_read(followed)
        if followed.object is None:
            raise not_found(resource.singular, resource.group, name)
        return followed.object

    async def close(self) -> None:
        """End all watches."""
        await self._tasks.close()

    async def _until_read(self, followed: _Followed) -> None:
        late = asyncio.ensure_future(self._clock.sleep(_PATIENCE))
        read = asyncio.ensure_future(followed.read.wait())
        try:
            await asyncio.wait({late, read}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in (late, read):
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await waiting
        if not followed.read.is_set():
            raise NotRead(followed.reference, followed.trouble)

    def _follow(self, reference: Reference) -> _Followed:
        followed = self._followed.get(reference)
        if followed is None:
            followed = self._followed[reference] = _Followed(reference)
            name = f"watch {reference.resource.plural} {reference.namespace}/{reference.name}"
            followed.task = self._tasks.start(self._keep_following(followed), name)
        return followed

    def _release(self, uid: str, unwanted: frozenset[Reference]) -> None:
        for reference in unwanted:
            followed = self._followed[reference]
            followed.users.discard(uid)
            if not followed.users:
                del self._followed[reference]
                if followed.task is not None:
                    followed.task.cancel()

    async def _keep_following(self, followed: _Followed) -> None:
        pause = _PAUSE
        while True:
            try:
                await self._follow_once(followed)
                return
            except (StatusError, ConnectionError) as error:
                followed.trouble = str(error)
                if not isinstance(error, StatusError) or error.code != 410:
                    _log.warning("watch failed", object=_show(followed.reference), error=str(error))
            pause = _PAUSE if followed.read.is_set() else min(pause * 2, _LONGEST_PAUSE)
            await self._clock.sleep(pause)

    async def _follow_once(self, followed: _Followed) -> None:
        """Read, then watch until the watch fails. Returns for an object that can never change."""
        resource, namespace, name = followed.reference
        selector = f"metadata.name={fields.escape(name)}"
        listed = await self._client.list(resource, namespace, fieldSelector=selector)
        self._set(followed, next(iter(listed.get("items") or ()), None))
        version = listed["metadata"]["resourceVersion"]
        while not (followed.object or {}).get("immutable"):
            began = self._clock.monotonic()
            options = {"fieldSelector": selector, "resourceVersion": version, "allowWatchBookmarks": "true"}
            async for event in self._client.watch(resource, namespace, **options):
                version = event.object["metadata"]["resourceVersion"]
                if event.type != "BOOKMARK":
                    self._set(followed, None if event.type == "DELETED" else event.object)
            if self._clock.monotonic() - began < _SHORT:
                await self._clock.sleep(_PAUSE)

    def _set(self, followed: _Followed, obj: Object | None) -> None:
        before, followed.object = followed.object, obj
        first = not followed.read.is_set()
        followed.read.set()
        if not first and _version(before) != _version(obj):
            for listener in self._listeners:
                listener(followed.reference)


def _version(obj: Object | None) -> str | None:
    return None if obj is None else f"{obj['metadata'].get('uid')} {obj['metadata'].get('resourceVersion')}"


def _show(reference: Reference) -> str:
    return f"{reference.resource.plural}/{reference.namespace}/{reference.name}"
