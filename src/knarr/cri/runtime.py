"""The container runtime as the kubelet sees it: Protocols over plain dicts in the shape of the CRI v1 messages.

Configurations (`PodSandboxConfig`, `ContainerConfig`) and statuses are dicts with the field names of `messages.py`.
Every method raises `CriError`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from knarr.wire.messages import Message

NOT_FOUND = "NotFound"
UNAVAILABLE = "Unavailable"
DEADLINE = "DeadlineExceeded"


class CriError(Exception):
    """A call the runtime refused or could not answer. `code` is the gRPC code's name, `message` the runtime's words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {message}")
        self.code = code
        self.message = message


class ExecResult(NamedTuple):
    """What a command that ran to its end gave."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class RuntimeEvent(NamedTuple):
    """Something happened to a container or sandbox; `kind` is `exit` or `other`. A hint: ask for the status."""

    kind: str
    container_id: str


class RuntimeService(Protocol):
    """Sandboxes and containers."""

    async def version(self) -> Message:
        """`VersionResponse`."""
        ...

    async def status(self) -> Mapping[str, Message]:
        """The runtime's conditions by type: `RuntimeReady`, `NetworkReady`."""
        ...

    async def run_sandbox(self, config: Message, handler: str = "") -> str:
        """Start a sandbox; gives its id."""
        ...

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Stop a sandbox and what runs in it, free its network. Safe to repeat."""
        ...

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Remove a sandbox and its containers. No error when it is gone."""
        ...

    async def sandbox_status(self, sandbox_id: str) -> Message:
        """`PodSandboxStatus`. Raises `NotFound`."""
        ...

    async def list_sandboxes(self, labels: Mapping[str, str] | None = None) -> list[Message]:
        """All sandboxes with these labels."""
        ...

    async def create_container(self, sandbox_id: str, config: Message, sandbox: Message) -> str:
        """Create a container; gives its id."""
        ...

    async def start_container(self, container_id: str) -> None:
        """Start a created container."""
        ...

    async def stop_container(self, container_id: str, timeout: int) -> None:
        """Send the stop signal, after `timeout` seconds SIGKILL; returns when it has ended. Safe to repeat."""
        ...

    async def remove_container(self, container_id: str) -> None:
        """Remove a container, by force if it runs. No error when it is gone."""
        ...

    async def container_status(self, container_id: str) -> Message:
        """`ContainerStatus`; times in nanoseconds. Raises `NotFound`."""
        ...

    async def list_containers(self, labels: Mapping[str, str] | None = None) -> list[Message]:
        """All containers with these labels."""
        ...

    async def update_resources(self, container_id: str, resources: Message) -> None:
        """Change limits of a running container."""
        ...

    async def reopen_log(self, container_id: str) -> None:
        """Reopen the log file after it was moved."""
        ...

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: int) -> ExecResult:
        """Run a command to its end. Raises `DeadlineExceeded` after `timeout` seconds (0 means none)."""
        ...

    async def exec(self, request: Message) -> str:
        """The URL where an `ExecRequest` streams."""
        ...

    async def attach(self, request: Message) -> str:
        """The URL where an `AttachRequest` streams."""
        ...

    async def port_forward(self, sandbox_id: str, ports: Sequence[int]) -> str:
        """The URL where ports stream."""
        ...

    async def container_stats(self) -> list[Message]:
        """`ContainerStats` of all containers."""
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Events as they happen. Raises `CriError` `Unimplemented` where the runtime has none."""
        ...


class ImageService(Protocol):
    """Images."""

    async def list_images(self) -> list[Message]:
        """All images."""
        ...

    async def image_status(self, image: str) -> Message | None:
        """One `Image`, or None when it is absent."""
        ...

    async def pull_image(self, image: str, auth: Message | None = None, sandbox: Message | None = None) -> str:
        """Pull an image; gives its reference."""
        ...

    async def remove_image(self, image: str) -> None:
        """Remove an image. No error when it is gone."""
        ...

    async def image_fs_info(self) -> list[Message]:
        """`FilesystemUsage` of where images lie."""
        ...


class Runtime(RuntimeService, ImageService, Protocol):
    """Both services, as one endpoint serves them."""

    async def close(self) -> None:
        """Close the connection."""
        ...
