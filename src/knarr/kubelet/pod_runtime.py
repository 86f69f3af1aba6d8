"""The steps of one pod's life, each a few calls of the runtime."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

from knarr.apimachinery.types import Object
from knarr.component_base import logs
from knarr.cri.messages import ContainerState
from knarr.cri.runtime import CriError
from knarr.kubelet import environment, images, pod_files, seen
from knarr.kubelet.container_config import BoundPath, Parts, container_config
from knarr.kubelet.container_resources import GroupLimits, container_resources, pod_limits
from knarr.kubelet.downward import Addresses
from knarr.kubelet.environment import EnvironmentFault, Surroundings
from knarr.kubelet.expansion import MissingValues, expand_strictly
from knarr.kubelet.host import Host
from knarr.kubelet.lifecycle import HookFailed, run_hook
from knarr.kubelet.pod_names import CONTAINER_NAME, POD_UID
from knarr.kubelet.podworker.model import Change, Note, Resized, Seen
from knarr.kubelet.probe_actions import Target
from knarr.kubelet.sandbox_config import pod_group, sandbox_config
from knarr.kubelet.security_context import ConfigFault
from knarr.kubelet.volumes.plugin import HostVolume, VolumeError
from knarr.wire.messages import Message

_log = logs.get("kubelet.pod")
#: What is left of the grace period after a long preStop hook, in seconds.
_LEAST_GRACE = 2


class StartFault(Exception):
    """A container did not start. `seen` is set when the runtime made one."""

    def __init__(self, reason: str, message: str, made: Seen | None = None) -> None:
        super().__init__(message)
        self.reason, self.message, self.made = reason, message, made


class PodRuntime:
    """What is done for one pod. `tell` records the events on the way."""

    def __init__(self, host: Host, uid: str, tell: Callable[[Note], None]) -> None:
        self._host, self._tell = host, tell
        self.uid = uid
        self._volumes: Mapping[str, HostVolume] = {}
        self._sandbox: Message | None = None
        self._stopping: set[str] = set()
        #: Of the pod's own group; None for not known.
        self._limits: GroupLimits | None = None

    async def prepare(self, pod: Object) -> None:
        """Folders, control group, volumes. Raises `MountFailure` and `OSError`."""
        pod_files.make_folders(pod, self._host.node)
        self._limits = pod_limits(pod)
        self._host.cgroups.make(pod_group(pod, self._host.cgroups.root), self._limits)
        self._volumes = await self._host.volumes.prepare(pod)

    async def run_sandbox(self, pod: Object, attempt: int) -> tuple[str, tuple[str, ...]]:
        """Start a sandbox; gives its id and addresses. Raises `CriError`, `HostnameTooLong` and `SandboxFault`."""
        runtime = self._host.runtime
        config = sandbox_config(pod, self._host.node, attempt)
        handler = await self._handler(pod)
        async with self._host.sandbox_slots:
            try:
                sandbox_id = await runtime.run_sandbox(config, handler)
                status = await runtime.sandbox_status(sandbox_id)
            except CriError:
                await self._drop_sandbox(attempt)
                raise
        self._sandbox = config
        return sandbox_id, self.ips(pod, status)

    async def _handler(self, pod: Object) -> str:
        """The runtime handler that the pod's RuntimeClass names; the runtime's own without one."""
        name = pod["spec"].get("runtimeClassName")
        return await self._host.handler(name) if name else ""

    def ips(self, pod: Object, status: Message) -> tuple[str, ...]:
        """The addresses of a sandbox."""
        host_network = bool(pod["spec"].get("hostNetwork"))
        return seen.sandbox_ips(status, self._host.node.host_ips, host_network=host_network)

    async def _drop_sandbox(self, attempt: int) -> None:
        """What a failed start may have left would hold the name."""
        with contextlib.suppress(CriError):
            for each in await self._host.runtime.list_sandboxes({POD_UID: self.uid}):
                if each["metadata"]["attempt"] == attempt:
                    await self._host.runtime.stop_sandbox(each["id"])
                    await self._host.runtime.remove_sandbox(each["id"])

    async def pull(self, pod: Object, container: Object) -> str:
        """The container's image. Raises `ImageFault`."""

        def tell(note: images.Note) -> None:
            self._tell(Note(note.type, note.reason, note.message, container["name"]))

        return await self._host.images.ensure(pod, container, tell, self._sandbox)

    async def start(
        self, pod: Object, container: Object, order: tuple[int, str], sandbox: tuple[str, tuple[str, ...]], target: str
    ) -> Seen:
        """Make and start a container, and run its postStart hook.

        `order` is (attempt, image), `sandbox` (id, addresses), `target` the container whose processes it shall see.
        Raises `StartFault`.
        """
        attempt, image_ref = order
        sandbox_id, ips = sandbox
        try:
            config = await self._config(pod, container, order, ips, target)
        except (EnvironmentFault, ConfigFault, VolumeError, MissingValues, OSError) as error:
            raise StartFault("CreateContainerConfigError", str(error)) from error
        made = self._sandbox or sandbox_config(pod, self._host.node, 0)
        if self._limits != (limits := pod_limits(pod)):
            self._limit(pod, limits)
        container_id = await self._create(container, attempt, sandbox_id, config, made)
        name = container["name"]
        self._tell(Note("Normal", "Created", "Container created", name))
        try:
            await self._host.runtime.start_container(container_id)
        except CriError as error:
            raise StartFault(
                "RunContainerError", error.message, await self._ended(pod, container, container_id)
            ) from error
        self._tell(Note("Normal", "Started", "Container started", name))
        self._host.metrics.container_started(pod, name)
        await self._post_start(pod, container, container_id, ips)
        return await self.look(pod, container, container_id)

    async def _create(self, container: Object, attempt: int, sandbox_id: str, config: Message, sandbox: Message) -> str:
        try:
            return await self._host.runtime.create_container(sandbox_id, config, sandbox)
        except CriError as error:
            await self._drop_container(container["name"], attempt)
            raise StartFault("CreateContainerError", error.message) from error

    async def _drop_container(self, name: str, attempt: int) -> None:
        """What a failed creation may have left would hold the name."""
        with contextlib.suppress(CriError):
            for each in await self._host.runtime.list_containers({POD_UID: self.uid, CONTAINER_NAME: name}):
                if each["metadata"]["attempt"] == attempt and each["state"] == ContainerState.CREATED:
                    await self._host.runtime.remove_container(each["id"])

    async def _ended(self, pod: Object, container: Object, container_id: str) -> Seen | None:
        """A container that the runtime could not start, if it keeps it as ended."""
        with contextlib.suppress(CriError):
            found = await self.look(pod, container, container_id)
            if found.exit is not None:
                return found
            await self._host.runtime.remove_container(container_id)
        return None

    async def _post_start(self, pod: Object, container: Object, container_id: str, ips: Sequence[str]) -> None:
        hook = (container.get("lifecycle") or {}).get("postStart")
        if not hook:
            return
        target = Target(container, container_id, ips[0] if ips else "")
        try:
            await run_hook(hook, target, self._host.runtime, self._host.clock)
        except HookFailed as error:
            _log.warning("postStart hook failed", pod=self.uid, container=container["name"], error=error)
            self._tell(Note("Warning", "FailedPostStartHook", "PostStartHook failed", container["name"]))
            with contextlib.suppress(CriError):
                await self.stop(pod, container, container_id, _grace(pod), ips, "FailedPostStartHook")
            made = await self._ended(pod, container, container_id)
            raise StartFault("PostStartHookError", str(error), made) from error

    async def _config(
        self, pod: Object, container: Object, order: tuple[int, str], ips: tuple[str, ...], target: str
    ) -> Message:
        node = self._host.node
        attempt, image_ref = order
        around = Surroundings(
            self._host.services(),
            Addresses(ips, node.host_ips),
            self._host.allocatable(),
            await environment.fetch(pod, container, self._host.objects),
        )
        variables = environment.environment(pod, container, around)
        parts = Parts(
            attempt,
            image_ref,
            await self._image(image_ref),
            variables,
            self._paths(pod, container, variables),
            pod_files.container_files(pod, container, attempt, ips, node),
            self._devices(container),
            target,
        )
        return container_config(pod, container, parts, node)

    async def _image(self, image_ref: str) -> Message:
        known = self._host.image_messages
        if image_ref not in known:
            try:
                known[image_ref] = await self._host.runtime.image_status(image_ref) or {}
            except CriError as error:
                raise ConfigFault(f"failed to inspect image: {error}") from error
        return known[image_ref]

    def _paths(self, pod: Object, container: Object, variables: Mapping[str, str]) -> list[BoundPath]:
        paths = []
        for index, mount in enumerate(container.get("volumeMounts") or ()):
            volume = self._volume(mount["name"])
            part = mount.get("subPath") or ""
            if mount.get("subPathExpr"):
                part = expand_strictly(mount["subPathExpr"], variables)
            path = volume.path
            if part:
                path = self._host.volumes.prepare_subpath(pod, container["name"], index, volume, part)
            paths.append(BoundPath(path, volume.read_only))
        return paths

    def _devices(self, container: Object) -> list[tuple[str, BoundPath]]:
        found = ((each["devicePath"], self._volume(each["name"])) for each in container.get("volumeDevices") or ())
        return [(path, BoundPath(volume.path, volume.read_only)) for path, volume in found]

    def _volume(self, name: str) -> HostVolume:
        volume = self._volumes.get(name)
        if volume is None:
            raise ConfigFault(f'cannot find volume "{name}" to mount into container')
        return volume

    async def resize(self, pod: Object, changes: Sequence[Change]) -> Resized:
        """Give containers that run other requests and limits.

        The pod's own group has no limits meanwhile: no container's may be above it.
        """
        before, limits = self._limits, pod_limits(pod)
        done, refused = [], []
        self._limit(pod, GroupLimits(limits.shares))
        for change in changes:
            container = {"name": change.name, "resources": change.resources}
            wanted = container_resources(pod, container, self._host.node.memory)
            try:
                await self._host.runtime.update_resources(change.container_id, wanted)
                done.append(change)
            except CriError as error:
                refused.append((change, error.message))
        self._limit(pod, before if refused and before is not None else limits)
        return Resized(tuple(done), tuple(refused))

    def _limit(self, pod: Object, limits: GroupLimits) -> None:
        """Limit the pod's group. The kernel refuses what its containers are above: theirs hold all the same."""
        try:
            self._host.cgroups.make(pod_group(pod, self._host.cgroups.root), limits)
            self._limits = limits
        except OSError as error:
            _log.warning("limits of the pod's group not changed", pod=self.uid, error=error)

    async def look(self, pod: Object, container: Object, container_id: str) -> Seen:
        """The runtime's word on a container. Raises `CriError` (`NotFound` when it has vanished)."""
        status = await self._host.runtime.container_status(container_id)
        attempt = int(status["metadata"]["attempt"])

        def message(failed: bool) -> str:  # noqa: FBT001 - a callback with one argument
            return pod_files.last_words(pod, container, attempt, self._host.node, failed=failed)

        return seen.seen(status, message)

    async def stop(
        self, pod: Object, container: Object, container_id: str, grace: int, ips: Sequence[str], text: str
    ) -> None:
        """Run preStop (once), then stop. Raises `CriError`."""
        left = max(grace, 0)
        if container_id not in self._stopping:
            self._stopping.add(container_id)
            self._tell(Note("Normal", "Killing", text, container["name"]))
            left = await self._pre_stop(container, container_id, grace, ips)
        await self._host.runtime.stop_container(container_id, left)

    async def _pre_stop(self, container: Object, container_id: str, grace: int, ips: Sequence[str]) -> int:
        """Gives the seconds that are left."""
        hook = (container.get("lifecycle") or {}).get("preStop")
        if not hook or grace <= 0:
            return max(grace, 0)
        clock = self._host.clock
        began = clock.monotonic()
        target = Target(container, container_id, ips[0] if ips else "")
        try:
            async with asyncio.timeout(grace):
                await run_hook(hook, target, self._host.runtime, clock)
        except TimeoutError:
            _log.info("preStop hook not completed in grace period", pod=self.uid, container=container["name"])
        except HookFailed as error:
            _log.warning("preStop hook failed", pod=self.uid, container=container["name"], error=error)
            self._tell(Note("Warning", "FailedPreStopHook", "PreStopHook failed", container["name"]))
        return max(int(grace - (clock.monotonic() - began)), _LEAST_GRACE)

    async def stop_sandboxes(self) -> None:
        """Stop all sandboxes of the pod. Raises `CriError`."""
        for each in await self._host.runtime.list_sandboxes({POD_UID: self.uid}):
            await self._host.runtime.stop_sandbox(each["id"])

    async def tear_down(self, pod: Object) -> None:
        """Unmount volumes, remove the control group. Raises `OSError`."""
        await self._host.volumes.teardown(self.uid)
        await self._host.cgroups.remove(pod_group(pod, self._host.cgroups.root))

    async def purge(self, pod: Object) -> None:
        """Remove containers, sandboxes and files. Raises `CriError` and `OSError`."""
        runtime = self._host.runtime
        for container in await runtime.list_containers({POD_UID: self.uid}):
            await runtime.remove_container(container["id"])
        for sandbox in await runtime.list_sandboxes({POD_UID: self.uid}):
            await runtime.stop_sandbox(sandbox["id"])
            await runtime.remove_sandbox(sandbox["id"])
        await asyncio.to_thread(pod_files.remove_files, pod, self._host.node)


def _grace(pod: Object) -> int:
    grace = pod["spec"].get("terminationGracePeriodSeconds")
    return 30 if grace is None else int(grace)
