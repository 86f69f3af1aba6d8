"""The ConfigMaps and Secrets that this node's pods refer to, each followed by a watch of its own.

The Node authorizer lets a kubelet read exactly these, one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from knarr.api.resources import Resource
from knarr.apimachinery import fields
from knarr.apimachinery.errors import StatusError, not_found
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.client.reflector import Reflector, Selection
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.kubelet import references
from knarr.kubelet.references import Reference

#: Seconds that a reader waits for the first answer.
_PATIENCE = 5.0


class NotRead(StatusError):
    """An object could not be read yet; the pod's next try may find it."""

    def __init__(self, reference: Reference, why: str) -> None:
        super().__init__(504, "Timeout", f"failed to sync {reference.resource.singular} cache: {why}")


class _Followed:
    """One object: None while it does not exist. `users` are uids of pods. Takes what a reflector sees."""

    def __init__(self, reference: Reference, changed: Callable[[Reference], None]) -> None:
        self.reference = reference
        self.users: set[str] = set()
        self.object: Object | None = None
        self.read = asyncio.Event()
        self.trouble = "timed out waiting for the condition"
        self.task: asyncio.Task[None] | None = None
        self._changed = changed

    def replace(self, objects: Sequence[Object], revision: int) -> None:
        """The object as a list gives it."""
        self._set(next(iter(objects), None))

    def apply(self, kind: str, obj: Object, revision: int) -> None:
        """The object has changed."""
        self._set(None if kind == "DELETED" else obj)

    def reached(self, revision: int) -> None:
        """Nothing has changed."""

    def failed(self, error: Exception) -> None:
        """Why nothing can be read now."""
        self.trouble = str(error)

    def never_changes(self) -> bool:
        """Whether there is nothing more to follow."""
        return bool((self.object or {}).get("immutable"))

    def _set(self, obj: Object | None) -> None:
        before, self.object = self.object, obj
        first = not self.read.is_set()
        self.read.set()
        if not first and _version(before) != _version(obj):
            self._changed(self.reference)


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
            followed = self._followed[reference] = _Followed(reference, self._tell)
            selector = f"metadata.name={fields.escape(reference.name)}"
            selection = Selection(reference.resource, reference.namespace, selector)
            reflector = Reflector(self._client, selection, followed, self._clock)
            followed.task = self._tasks.start(reflector.run(followed.never_changes), f"watch {selection}")
        return followed

    def _release(self, uid: str, unwanted: frozenset[Reference]) -> None:
        for reference in unwanted:
            followed = self._followed[reference]
            followed.users.discard(uid)
            if not followed.users:
                del self._followed[reference]
                if followed.task is not None:
                    followed.task.cancel()

    def _tell(self, reference: Reference) -> None:
        for listener in self._listeners:
            listener(reference)


def _version(obj: Object | None) -> str | None:
    return None if obj is None else f"{obj['metadata'].get('uid')} {obj['metadata'].get('resourceVersion')}"
