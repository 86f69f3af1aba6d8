"""A runtime in memory, for tests and simulation: sandboxes and containers that run until told to end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from knarr.component_base.clock import Clock
from knarr.cri.image_names import normalise
from knarr.cri.messages import ContainerState, SandboxState
from knarr.cri.runtime import DEADLINE, NOT_FOUND, CriError, ExecResult, RuntimeEvent
from knarr.wire.messages import Message


class FakeRuntime:
    """`runtime.Runtime` without containers.

    Tests steer it: `available` (images a pull finds), `fail` (method name → error to raise, once each), `exit`,
    `exec_results`. `calls` lists what was asked, in order.
    """

    def __init__(self, clock: Clock, available: Sequence[str] = ()) -> None:
        self._clock = clock
        self._count = itertools.count(1)
        self.available = {normalise(image) for image in available}
        self.images: dict[str, Message] = {}
        self.sandboxes: dict[str, Message] = {}
        self.containers: dict[str, Message] = {}
        self.configs: dict[str, Message] = {}
        self.calls: list[tuple[str, str]] = []
        self.fail: dict[str, list[CriError]] = {}
        self.exec_results: Callable[[str, Sequence[str]], ExecResult] = lambda _id, _command: ExecResult(0, b"", b"")
        self.network_ready = True
        self._listeners: list[asyncio.Queue[RuntimeEvent]] = []

    def _called(self, method: str, about: str) -> None:
        self.calls.append((method, about))
        if errors := self.fail.get(method):
            raise errors.pop(0)

    def _nanoseconds(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000) * 1000

    # runtime

    async def version(self) -> Message:
        """`VersionResponse`."""
        return {"runtime_name": "fake", "runtime_version": "1.0", "runtime_api_version": "v1"}

    async def status(self) -> Mapping[str, Message]:
        """Conditions by type."""
        network = {"type": "NetworkReady", "status": self.network_ready, "reason": "", "message": ""}
        if not self.network_ready:
            network |= {"reason": "NetworkPluginNotReady", "message": "cni plugin not initialized"}
        return {"RuntimeReady": {"type": "RuntimeReady", "status": True}, "NetworkReady": network}

    async def run_sandbox(self, config: Message, handler: str = "") -> str:
        """Start a sandbox."""
        self._called("run_sandbox", config["metadata"]["name"])
        number = next(self._count)
        sandbox_id = f"sandbox{number:08x}"
        self.configs[sandbox_id] = config
        self.sandboxes[sandbox_id] = {
            "id": sandbox_id,
            "metadata": dict(config["metadata"]),
            "state": int(SandboxState.READY),
            "created_at": self._nanoseconds(),
            "network": {"ip": f"10.42.{number // 250}.{number % 250 + 2}", "additional_ips": []},
            "labels": dict(config.get("labels", {})),
            "annotations": dict(config.get("annotations", {})),
            "runtime_handler": handler,
        }
        return sandbox_id

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Stop a sandbox and what runs in it."""
        self._called("stop_sandbox", sandbox_id)
        if sandbox_id in self.sandboxes:
            self.sandboxes[sandbox_id]["state"] = int(SandboxState.NOTREADY)
            for container in list(self.containers.values()):
                if container["pod_sandbox_id"] == sandbox_id and container["state"] == ContainerState.RUNNING:
                    self.exit(container["id"], 137)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Remove a sandbox and its containers."""
        self._called("remove_sandbox", sandbox_id)
        self.sandboxes.pop(sandbox_id, None)
        for container in list(self.containers.values()):
            if container["pod_sandbox_id"] == sandbox_id:
                del self.containers[container["id"]]

    async def sandbox_status(self, sandbox_id: str) -> Message:
        """`PodSandboxStatus`."""
        self._called("sandbox_status", sandbox_id)
        return dict(_found(self.sandboxes, sandbox_id, "sandbox"))

    async def list_sandboxes(self, labels: Mapping[str, str] | None = None) -> list[Message]:
        """All sandboxes with these labels."""
        return [dict(each) for each in self.sandboxes.values() if _matches(each, labels)]

    async def create_container(self, sandbox_id: str, config: Message, sandbox: Message) -> str:
        """Create a container."""
        self._called("create_container", config["metadata"]["name"])
        _found(self.sandboxes, sandbox_id, "sandbox")
        image = await self.image_status(config["image"]["image"])
        if image is None:
            raise CriError(NOT_FOUND, f"failed to get image {config['image']['image']}: not found")
        container_id = f"container{next(self._count):08x}"
        self.configs[container_id] = config
        self.containers[container_id] = {
            "id": container_id,
            "pod_sandbox_id": sandbox_id,
            "metadata": dict(config["metadata"]),
            "image": dict(config["image"]),
            "image_ref": image["id"],
            "state": int(ContainerState.CREATED),
            "created_at": self._nanoseconds(),
            "started_at": 0,
            "finished_at": 0,
            "exit_code": 0,
            "reason": "",
            "message": "",
            "labels": dict(config.get("labels", {})),
            "annotations": dict(config.get("annotations", {})),
            "log_path": config.get("log_path", ""),
        }
        return container_id

    async def start_container(self, container_id: str) -> None:
        """Start a created container."""
        self._called("start_container", container_id)
        container = _found(self.containers, container_id, "container")
        if container["state"] != ContainerState.CREATED:
            raise CriError("FailedPrecondition", "container is in the wrong state")
        container |= {"state": int(ContainerState.RUNNING), "started_at": self._nanoseconds()}

    async def stop_container(self, container_id: str, timeout: int) -> None:
        """Stop a container at once, with the exit code of TERM."""
        self._called("stop_container", container_id)
        if self.containers.get(container_id, {}).get("state") == ContainerState.RUNNING:
            self.exit(container_id, 143)

    async def remove_container(self, container_id: str) -> None:
        """Remove a container."""
        self._called("remove_container", container_id)
        self.containers.pop(container_id, None)

    async def container_status(self, container_id: str) -> Message:
        """`ContainerStatus`."""
        self._called("container_status", container_id)
        return dict(_found(self.containers, container_id, "container"))

    async def list_containers(self, labels: Mapping[str, str] | None = None) -> list[Message]:
        """All containers with these labels."""
        return [dict(each) for each in self.containers.values() if _matches(each, labels)]

    async def update_resources(self, container_id: str, resources: Message) -> None:
        """Change limits."""
        self._called("update_resources", container_id)
        _found(self.containers, container_id, "container")

    async def reopen_log(self, container_id: str) -> None:
        """Nothing is logged here."""
        self._called("reopen_log", container_id)

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: int) -> ExecResult:
        """What `exec_results` says."""
        self._called("exec_sync", container_id)
        container = _found(self.containers, container_id, "container")
        if container["state"] != ContainerState.RUNNING:
            raise CriError("Unknown", "container is in CONTAINER_EXITED state")
        result = self.exec_results(container_id, command)
        if result.exit_code == -1:
            raise CriError(DEADLINE, f"failed to exec in container: timeout {timeout}s exceeded")
        return result

    async def exec(self, request: Message) -> str:
        """A URL nobody serves."""
        return f"http://127.0.0.1:1/exec/{request['container_id']}"

    async def attach(self, request: Message) -> str:
        """A URL nobody serves."""
        return f"http://127.0.0.1:1/attach/{request['container_id']}"

    async def port_forward(self, sandbox_id: str, ports: Sequence[int]) -> str:
        """A URL nobody serves."""
        return f"http://127.0.0.1:1/portforward/{sandbox_id}"

    async def container_stats(self) -> list[Message]:
        """No usage, but every running container."""
        now = self._nanoseconds()
        return [
            {
                "attributes": {"id": each["id"], "metadata": each["metadata"], "labels": each["labels"]},
                "cpu": {"timestamp": now, "usage_core_nano_seconds": {"value": 0}},
                "memory": {"timestamp": now, "working_set_bytes": {"value": 0}},
            }
            for each in self.containers.values()
            if each["state"] == ContainerState.RUNNING
        ]

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Ends of containers."""
        queue: asyncio.Queue[RuntimeEvent] = asyncio.Queue()
        self._listeners.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.remove(queue)

    # images

    async def list_images(self) -> list[Message]:
        """All images."""
        return list(self.images.values())

    async def image_status(self, image: str) -> Message | None:
        """One image by name or id."""
        if image.startswith("sha256:"):
            return next((each for each in self.images.values() if each["id"] == image), None)
        return self.images.get(normalise(image))

    async def pull_image(self, image: str, auth: Message | None = None, sandbox: Message | None = None) -> str:
        """Find an image among the available ones."""
        self._called("pull_image", image)
        name = normalise(image)
        if name not in self.available:
            raise CriError(NOT_FOUND, f'failed to pull and unpack image "{name}": {name}: not found')
        digest = f"sha256:{abs(hash(name)):064x}"[:71]
        repository = name.rsplit(":", 1)[0]
        self.images[name] = {
            "id": digest,
            "repo_tags": [name],
            "repo_digests": [f"{repository}@{digest}"],
            "size": 1000,
            "username": "",
            "pinned": False,
        }
        return digest

    async def remove_image(self, image: str) -> None:
        """Remove an image."""
        self._called("remove_image", image)
        found = await self.image_status(image)
        self.images = {name: each for name, each in self.images.items() if each is not found}

    async def image_fs_info(self) -> list[Message]:
        """An empty file system."""
        return [{"fs_id": {"mountpoint": "/"}, "used_bytes": {"value": 0}, "inodes_used": {"value": 0}}]

    async def close(self) -> None:
        """Nothing is open."""

    # what tests do

    def exit(self, container_id: str, code: int, reason: str = "") -> None:
        """End a running container."""
        container = self.containers[container_id]
        container |= {
            "state": int(ContainerState.EXITED),
            "finished_at": self._nanoseconds(),
            "exit_code": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
        }
        for queue in self._listeners:
            queue.put_nowait(RuntimeEvent("exit", container_id))

    def running(self, name: str) -> list[str]:
        """Ids of the running containers with this name."""
        return [
            each["id"]
            for each in self.containers.values()
            if each["metadata"]["name"] == name and each["state"] == ContainerState.RUNNING
        ]


def _found(items: dict[str, Message], key: str, kind: str) -> Message:
    if key not in items:
        raise CriError(NOT_FOUND, f'an error occurred when try to find {kind} "{key}": not found')
    return items[key]


def _matches(item: Message, labels: Mapping[str, str] | None) -> bool:
    return all(item["labels"].get(key) == value for key, value in (labels or {}).items())
