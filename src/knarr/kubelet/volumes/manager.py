"""The volumes of this node's pods: made before the containers start, kept up to date, taken away at the end.

`<root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name>` holds them, as every kubelet lays them out, and
`…/volume-subpaths/<volume>/<container>/<index>` the parts that are mounted by themselves. What exists is read from the
disk and the mount table, so that a restarted agent goes on with what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.kubelet.references import Reference
from knarr.kubelet.tokens import Token, TokenFault
from knarr.kubelet.volumes import mounts, plugins, subpath, usage
from knarr.kubelet.volumes.payload import PayloadError
from knarr.kubelet.volumes.plugin import Host, HostVolume, Prepared, Request, VolumeError

_log = logs.get("kubelet.volumes")
#: Seconds until a failed refresh is tried again: the first time, and at most.
_PAUSE, _LONGEST_PAUSE = 0.5, 122.0
#: Bytes of a file of environment variables.
_LONGEST_FILE = 1 << 20
_FAULTS = (VolumeError, PayloadError, TokenFault, StatusError, OSError)


class MountFailure(Exception):
    """Volumes of a pod could not be mounted: one message each, as the event `FailedMount` tells it."""

    def __init__(self, messages: Iterable[str]) -> None:
        self.messages = tuple(messages)
        super().__init__("; ".join(self.messages))


class Referenced(Protocol):
    """`referenced.Referenced` as the manager uses it."""

    def add(self, pod: Object) -> None:
        """Follow what a pod refers to."""
        ...

    def remove(self, uid: str) -> None:
        """Forget a pod."""
        ...

    def users(self, reference: Reference) -> frozenset[str]:
        """Uids of the pods that refer to an object."""
        ...

    def listen(self, callback: Callable[[Reference], None]) -> None:
        """Hear of changes."""
        ...

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object. Raises `StatusError`."""
        ...


class TokenSource(Protocol):
    """`tokens.TokenManager` as the manager uses it."""

    async def get(self, pod: Object, audience: str = "", seconds: int = ...) -> Token:
        """A token."""
        ...

    def forget(self, uid: str) -> None:
        """Drop a pod's tokens."""
        ...


class Claims(Protocol):
    """`claims.Claims` as the manager uses it."""

    async def resolve(self, pod: Object, volume: Object) -> Object:
        """The volume with its claim replaced by what stands behind it."""
        ...


@dataclass(slots=True, eq=False)
class _Pod:
    """A pod whose volumes are in use. `due`: when something is to be refreshed."""

    pod: Object
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    due: datetime | None = None
    pause: float = _PAUSE


class VolumeManager:
    """Prepares, refreshes and tears down. `failed(pod, message)` hears of refreshes that failed."""

    def __init__(  # noqa: PLR0913 - what volumes are made from
        self,
        root: Path,
        objects: Referenced,
        tokens: TokenSource,
        claims: Claims,
        clock: Clock,
        *,
        allocatable: Callable[[], Mapping[str, object]] = dict,
        failed: Callable[[Object, str], None] = lambda pod, message: None,
    ) -> None:
        self.pods_directory = root / "pods"
        self._objects, self._tokens, self._claims, self._clock = objects, tokens, claims, clock
        self._host = Host(objects, tokens, clock, allocatable)
        self._failed = failed
        self._pods: dict[str, _Pod] = {}
        self._tasks = Tasks()
        self._woken = asyncio.Event()
        objects.listen(self._changed)

    async def prepare(self, pod: Object) -> Mapping[str, HostVolume]:
        """Mount every volume that a container of the pod uses; gives them by name. Safe to repeat.

        Raises `MountFailure` after having tried all of them.
        """
        uid = pod["metadata"]["uid"]
        state = self._pods.setdefault(uid, _Pod(pod))
        state.pod = pod
        self._objects.add(pod)
        async with state.lock:
            used = used_volumes(pod)
            wanted = [volume for volume in (pod.get("spec") or {}).get("volumes") or () if volume["name"] in used]
            prepared = await self._set_up_all(pod, wanted)
            self._remember(state, prepared.values())
        return {name: each.volume for name, each in prepared.items()}

    async def refresh(self, pod: Object) -> None:
        """Bring the contents of a prepared pod's volumes up to date, after the pod itself has changed.

        Raises `MountFailure`; what could not be renewed keeps its old contents.
        """
        state = self._pods.get(pod["metadata"]["uid"])
        if state is None:
            return
        state.pod = pod
        self._objects.add(pod)
        await self._refresh(state)

    async def teardown(self, uid: str) -> None:
        """Unmount and remove all volumes of a pod, known or left by an earlier agent. Raises `OSError`."""
        state = self._pods.get(uid)
        async with state.lock if state else contextlib.AsyncExitStack():
            self._pods.pop(uid, None)
            self._objects.remove(uid)
            self._tokens.forget(uid)
            for folder in ("volume-subpaths", "volumes"):
                await asyncio.to_thread(mounts.remove_tree, self.pods_directory / uid / folder)

    def found(self) -> frozenset[str]:
        """Uids of the pods that have volumes on this node's disk, prepared by this agent or by an earlier one."""
        if not self.pods_directory.is_dir():
            return frozenset()
        return frozenset(
            pod.name
            for pod in self.pods_directory.iterdir()
            if (pod / "volumes").is_dir() or (pod / "volume-subpaths").is_dir()
        )

    def prepare_subpath(self, pod: Object, container: str, index: int, volume: HostVolume, path: str) -> str:
        """Mount a part of a volume for the `index`-th volumeMount of a container; gives its path on the host.

        `path` is the subPath, or the subPathExpr after expansion. Raises `VolumeError`.
        """
        mount = _mount_name(pod, container, index)
        subpath.check(path)
        folder = self.pods_directory / pod["metadata"]["uid"] / "volume-subpaths"
        target = folder / mount / container / str(index)
        try:
            subpath.prepare(Path(volume.path), path, target)
        except OSError as error:
            _log.warning("subpath refused", pod=pod["metadata"]["name"], path=path, error=error)
            # No detail for the user: it would tell of the node's files.
            text = f'failed to prepare subPath for volumeMount "{mount}" of container "{container}"'
            raise VolumeError(text) from error
        return str(target)

    def read_file(self, volume: HostVolume, path: str) -> str | None:
        """A small file of a prepared volume (`fileKeyRef`); None when it does not exist. Raises `VolumeError`."""
        subpath.check(path)
        try:
            data = subpath.read_file(Path(volume.path), path, _LONGEST_FILE)
        except OSError as error:
            _log.warning("file of a volume not read", volume=volume.path, path=path, error=error)
            raise VolumeError("couldn't parse env file") from error
        return None if data is None else data.decode(errors="surrogateescape")

    async def over_limit(self, uid: str) -> str:
        """Why a pod is to be evicted for what its emptyDirs take on disk; empty when they keep their limits."""
        state = self._pods.get(uid)
        if state is None:
            return ""
        return await asyncio.to_thread(usage.over_limit, state.pod, self.pods_directory / uid / "volumes")

    async def run(self) -> None:
        """Refresh what is due, for ever."""
        while True:
            now = self._clock.now()
            dues = [state.due for state in self._pods.values() if state.due]
            for state in [each for each in self._pods.values() if each.due and each.due <= now]:
                state.due = None
                self._tasks.start(self._refresh_quietly(state), f"refresh volumes of {state.pod['metadata']['name']}")
            later = [due for due in dues if due > now]
            await self._wait((min(later) - now).total_seconds() if later else None)

    async def close(self) -> None:
        """End refreshes that are under way; volumes stay."""
        await self._tasks.close()

    async def _set_up_all(self, pod: Object, volumes: Iterable[Object]) -> dict[str, Prepared]:
        volumes = list(volumes)
        results = await asyncio.gather(*(self._set_up(pod, each) for each in volumes), return_exceptions=True)
        prepared, problems = {}, []
        for volume, result in zip(volumes, results, strict=True):
            if isinstance(result, Prepared):
                prepared[volume["name"]] = result
            elif isinstance(result, _FAULTS):
                problems.append(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {result}')
            else:
                raise result
        if problems:
            raise MountFailure(problems)
        return prepared

    async def _set_up(self, pod: Object, volume: Object) -> Prepared:
        resolved = await self._claims.resolve(pod, volume)
        plugin = plugins.find(resolved)
        folder = self.pods_directory / pod["metadata"]["uid"] / "volumes" / plugin.name.replace("/", "~")
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        return await plugin.set_up(Request(pod, resolved, folder / resolved["name"]), self._host)

    def _changed(self, reference: Reference) -> None:
        for uid in self._objects.users(reference):
            if state := self._pods.get(uid):
                state.due = self._clock.now()
                self._woken.set()

    async def _refresh(self, state: _Pod) -> None:
        async with state.lock:
            if self._pods.get(state.pod["metadata"]["uid"]) is not state:
                return  # torn down meanwhile
            used = used_volumes(state.pod)
            volumes = [each for each in (state.pod.get("spec") or {}).get("volumes") or () if each["name"] in used]
            prepared = await self._set_up_all(state.pod, [each for each in volumes if _refreshes(each)])
            self._remember(state, prepared.values())

    async def _refresh_quietly(self, state: _Pod) -> None:
        try:
            await self._refresh(state)
        except MountFailure as failure:
            state.due = self._clock.now() + timedelta(seconds=state.pause)
            state.pause = min(state.pause * 2, _LONGEST_PAUSE)
            self._woken.set()
            for message in failure.messages:
                self._failed(state.pod, message)

    def _remember(self, state: _Pod, prepared: Iterable[Prepared]) -> None:
        dues = [each.due for each in prepared if each.due]
        state.due = min([*dues, *([state.due] if state.due else [])], default=None)
        state.pause = _PAUSE
        self._woken.set()

    async def _wait(self, seconds: float | None) -> None:
        """Until something has changed, or for so long."""
        if seconds is None:
            await self._woken.wait()
        else:
            woken = asyncio.ensure_future(self._woken.wait())
            late = asyncio.ensure_future(self._clock.sleep(seconds))
            try:
                await asyncio.wait({woken, late}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                woken.cancel()
                late.cancel()
                await asyncio.gather(woken, late, return_exceptions=True)
        self._woken.clear()


def used_volumes(pod: Object) -> frozenset[str]:
    """Names of the volumes that a container mounts."""
    spec = pod.get("spec") or {}
    names = set()
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(group) or ():
            names |= {mount["name"] for mount in container.get("volumeMounts") or ()}
            names |= {device["name"] for device in container.get("volumeDevices") or ()}
    return frozenset(names)


def _refreshes(volume: Object) -> bool:
    return any(plugin.refreshes and volume.get(plugin.source) is not None for plugin in plugins.PLUGINS)


def _mount_name(pod: Object, container: str, index: int) -> str:
    spec = pod["spec"]
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for each in spec.get(group) or ():
            if each["name"] == container:
                return str(each["volumeMounts"][index]["name"])
    raise KeyError(container)
