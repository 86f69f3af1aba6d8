"""The runtime over gRPC: containerd, or any other CRI v1 endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

from knarr.cri.channel import Connection
from knarr.cri.messages import CODEC
from knarr.cri.runtime import NOT_FOUND, CriError, ExecResult, RuntimeEvent
from knarr.wire.messages import Message

_RUNTIME = "/runtime.v1.RuntimeService/"
_IMAGE = "/runtime.v1.ImageService/"
#: Pulls may take long; the kubelet cancels what it no longer needs.
_PULL_TIMEOUT = 3600.0
#: Beyond the time that a call waits by its own meaning.
_MARGIN = 60.0


class CriRuntime:
    """`runtime.Runtime` over a CRI socket."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._connection = Connection(socket)

    async def _runtime(
        self, method: str, request: str, message: Message, response: str = "Empty", timeout: float = 120
    ) -> Message:
        return await self._connection.call(_RUNTIME + method, request, message, response, timeout=timeout)

    async def _image(
        self, method: str, request: str, message: Message, response: str = "Empty", timeout: float = 120
    ) -> Message:
        return await self._connection.call(_IMAGE + method, request, message, response, timeout=timeout)

    async def version(self) -> Message:
        """`VersionResponse`."""
        return await self._runtime("Version", "VersionRequest", {}, "VersionResponse", 5)

    async def status(self) -> Mapping[str, Message]:
        """The runtime's conditions by type."""
        answer = await self._runtime("Status", "StatusRequest", {}, "StatusResponse", 10)
        return {one["type"]: one for one in answer.get("status", {}).get("conditions", [])}

    async def run_sandbox(self, config: Message, handler: str = "") -> str:
        """Start a sandbox; gives its id."""
        request = {"config": config, "runtime_handler": handler}
        answer = await self._runtime("RunPodSandbox", "RunPodSandboxRequest", request, "SandboxId", 240)
        return str(answer["pod_sandbox_id"])

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Stop a sandbox."""
        await self._absent_is_fine(self._runtime("StopPodSandbox", "SandboxId", {"pod_sandbox_id": sandbox_id}))

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Remove a sandbox."""
        await self._absent_is_fine(self._runtime("RemovePodSandbox", "SandboxId", {"pod_sandbox_id": sandbox_id}))

    async def sandbox_status(self, sandbox_id: str) -> Message:
        """`PodSandboxStatus`."""
        request = {"pod_sandbox_id": sandbox_id}
        answer = await self._runtime("PodSandboxStatus", "SandboxId", request, "PodSandboxStatusResponse")
        return dict(answer["status"])

    async def list_sandboxes(self, labels: Mapping[str, str] | None = None) -> list[Message]:
        """All sandboxes with these labels."""
        request = {"filter": {"label_selector": dict(labels or {})}}
        answer = await self._runtime("ListPodSandbox", "ListPodSandboxRequest", request, "ListPodSandboxResponse")
        return list(answer["items"])

    async def create_container(self, sandbox_id: str, config: Message, sandbox: Message) -> str:
        """Create a container; gives its id."""
        request = {"pod_sandbox_id": sandbox_id, "config": config, "sandbox_config": sandbox}
        answer = await self._runtime("CreateContainer", "CreateContainerRequest", request, "ContainerId")
        return str(answer["container_id"])

    async def start_container(self, container_id: str) -> None:
        """Start a created container."""
        await self._runtime("StartContainer", "ContainerId", {"container_id": container_id})

    async def stop_container(self, container_id: str, timeout: int) -> None:
        """Stop a container."""
        request = {"container_id": container_id, "timeout": timeout}
        await self._absent_is_fine(
            self._runtime("StopContainer", "StopContainerRequest", request, timeout=timeout + _MARGIN)
        )

    async def remove_container(self, container_id: str) -> None:
        """Remove a container."""
        await self._absent_is_fine(self._runtime("RemoveContainer", "ContainerId", {"container_id": container_id}))

    async def container_status(self, container_id: str) -> Message:
        """`ContainerStatus`."""
        request = {"container_id": container_id}
        answer = await self._runtime("ContainerStatus", "ContainerId", request, "ContainerStatusResponse")
        return dict(answer["status"])

    async def list_containers(self, labels: Mapping[str, str] | None = None) -> list[Message]:
        """All containers with these labels."""
        request = {"filter": {"label_selector": dict(labels or {})}}
        answer = await self._runtime("ListContainers", "ListContainersRequest", request, "ListContainersResponse")
        return list(answer["containers"])

    async def update_resources(self, container_id: str, resources: Message) -> None:
        """Change limits of a running container."""
        request = {"container_id": container_id, "linux": resources}
        await self._runtime("UpdateContainerResources", "UpdateContainerResourcesRequest", request)

    async def reopen_log(self, container_id: str) -> None:
        """Reopen the log file."""
        await self._runtime("ReopenContainerLog", "ContainerId", {"container_id": container_id})

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: int) -> ExecResult:
        """Run a command to its end."""
        request = {"container_id": container_id, "cmd": list(command), "timeout": timeout}
        longest = timeout + _MARGIN if timeout else 24 * 3600.0
        answer = await self._runtime("ExecSync", "ExecSyncRequest", request, "ExecSyncResponse", longest)
        return ExecResult(answer["exit_code"], answer["stdout"], answer["stderr"])

    async def exec(self, request: Message) -> str:
        """The URL where an `ExecRequest` streams."""
        return str((await self._runtime("Exec", "ExecRequest", request, "Url"))["url"])

    async def attach(self, request: Message) -> str:
        """The URL where an `AttachRequest` streams."""
        return str((await self._runtime("Attach", "AttachRequest", request, "Url"))["url"])

    async def port_forward(self, sandbox_id: str, ports: Sequence[int]) -> str:
        """The URL where ports stream."""
        request = {"pod_sandbox_id": sandbox_id, "port": list(ports)}
        return str((await self._runtime("PortForward", "PortForwardRequest", request, "Url"))["url"])

    async def container_stats(self) -> list[Message]:
        """`ContainerStats` of all containers."""
        answer = await self._runtime(
            "ListContainerStats", "ListContainerStatsRequest", {}, "ListContainerStatsResponse"
        )
        return list(answer["stats"])

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """CRI's events; containerd 1.6 has none yet, but an events service of its own."""
        try:
            async for event in self._connection.stream(_RUNTIME + "GetContainerEvents", "Empty", {}, "ContainerEvent"):
                yield RuntimeEvent("exit" if event["container_event_type"] == 2 else "other", event["container_id"])
            return
        except CriError as error:
            if error.code != "Unimplemented":
                raise
        async for runtime_event in self._containerd_events():
            yield runtime_event

    async def _containerd_events(self) -> AsyncIterator[RuntimeEvent]:
        request = {"filters": ['topic=="/tasks/exit"', 'topic=="/tasks/oom"']}
        path = "/containerd.services.events.v1.Events/Subscribe"
        async for envelope in self._connection.stream(path, "SubscribeRequest", request, "Envelope"):
            body = envelope.get("event")
            if envelope["namespace"] != "k8s.io" or body is None:
                continue
            exit_event = CODEC.decode("TaskExit", body["value"])
            # An exec's end carries an id of its own.
            if envelope["topic"] == "/tasks/exit" and exit_event["id"] == exit_event["container_id"]:
                yield RuntimeEvent("exit", exit_event["container_id"])

    async def list_images(self) -> list[Message]:
        """All images."""
        return list((await self._image("ListImages", "ListImagesRequest", {}, "ListImagesResponse"))["images"])

    async def image_status(self, image: str) -> Message | None:
        """One `Image`, or None when it is absent."""
        request = {"image": {"image": image}}
        answer = await self._image("ImageStatus", "ImageStatusRequest", request, "ImageStatusResponse")
        found: Message | None = answer.get("image")
        return found if found and found["id"] else None

    async def pull_image(self, image: str, auth: Message | None = None, sandbox: Message | None = None) -> str:
        """Pull an image; gives its reference."""
        request = {"image": {"image": image}, "auth": auth, "sandbox_config": sandbox}
        answer = await self._image("PullImage", "PullImageRequest", request, "PullImageResponse", _PULL_TIMEOUT)
        return str(answer["image_ref"])

    async def remove_image(self, image: str) -> None:
        """Remove an image."""
        await self._absent_is_fine(self._image("RemoveImage", "RemoveImageRequest", {"image": {"image": image}}))

    async def image_fs_info(self) -> list[Message]:
        """`FilesystemUsage` of where images lie."""
        return list((await self._image("ImageFsInfo", "Empty", {}, "ImageFsInfoResponse"))["image_filesystems"])

    async def _absent_is_fine(self, call: Awaitable[Message]) -> None:
        try:
            await call
        except CriError as error:
            if error.code != NOT_FOUND:
                raise

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()
