"""What the pod worker knows, what it is told and what it orders: plain data.

Events go in, instructions come out; an instruction that starts work names the event that will report its result.
They are structs rather than dataclasses, which cost a node 40 ms of its start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from knarr.apimachinery.types import Object


class Moment(NamedTuple):
    """Now: wall time for stamps, monotonic seconds for waiting."""

    wall: datetime
    mono: float


class Exit(Struct, frozen=True):
    """How one run of a container ended."""

    container_id: str
    code: int
    reason: str
    message: str
    started_at: datetime | None
    finished_at: datetime


class Seen(Struct, frozen=True):
    """A container as the runtime reports it. `exit` is set when it has ended; neither means created only."""

    container_id: str
    attempt: int
    image: str
    image_id: str
    started_at: datetime | None
    exit: Exit | None = None


@dataclass(slots=True)
class Backoff:
    """Waiting times that double, and start anew after a long quiet time."""

    delay: float = 0.0
    updated: float = 0.0

    def next(self, now: float, first: float, longest: float) -> float:
        """The next delay in seconds; reset when the last one lies more than two longest delays back."""
        if not self.delay or now - self.updated > 2 * longest:
            self.delay = first
        else:
            self.delay = min(self.delay * 2, longest)
        self.updated = now
        return self.delay


@dataclass(slots=True)
class Record:
    """One container of the pod. `kind` is `init`, `sidecar` (restartable init), `main` or `ephemeral`."""

    spec: Object
    kind: str
    container_id: str = ""
    attempt: int = -1
    image: str = ""
    image_id: str = ""
    started_at: datetime | None = None
    running: bool = False
    exit: Exit | None = None
    last: Exit | None = None
    #: (reason, message) while waiting.
    waiting: tuple[str, str] | None = None
    started: bool = False
    ready: bool = False
    stopping: bool = False
    restarts: Backoff = field(default_factory=Backoff)
    pulls: Backoff = field(default_factory=Backoff)
    #: Not to be tried again before (monotonic seconds).
    not_before: float = 0.0
    #: When an ErrImagePull turns into ImagePullBackOff (monotonic seconds), 0 for never.
    pull_turns_at: float = 0.0
    pull_error: tuple[str, str] = ("", "")
    #: Between tries of what failed before a container was made.
    tries: Backoff = field(default_factory=Backoff)
    #: The end that `not_before` was reckoned from.
    backed_off: str = ""
    #: The image that the current container was made with, as the pod named it.
    asked_image: str = ""
    #: The requests and limits that the current container has.
    given: Object = field(default_factory=dict)
    #: Those that it was refused, and why.
    refused: tuple[Object, str] | None = None
    #: Start again whatever the restart policy says.
    forced: bool = False
    #: The attempt of the sandbox that the current container was made in.
    sandbox: int = -1
    #: Terminated containers that the runtime still keeps.
    dead: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.spec["name"])

    def has_probe(self, kind: str) -> bool:
        """Whether the container has a `startup`, `liveness` or `readiness` probe."""
        return f"{kind}Probe" in self.spec


class Change(Struct, frozen=True):
    """New requests and limits of a container that runs."""

    name: str
    container_id: str
    resources: Object


# Events


class PodChanged(Struct, frozen=True):
    """The pod as the API server has it now."""

    pod: Object


class PodRemoved(Struct, frozen=True):
    """The pod is gone from the API server."""


class Adopted(Struct, frozen=True):
    """What ran before this kubelet started. Comes before the first instruction is carried out."""

    sandbox_id: str
    sandbox_attempt: int
    ips: tuple[str, ...]
    #: Newest first.
    containers: Mapping[str, tuple[Seen, ...]]


class Prepared(Struct, frozen=True):
    """`Prepare` is done."""


class PrepareFailed(Struct, frozen=True):
    """`Prepare` failed; it recorded its own events."""

    message: str


class Rejected(Struct, frozen=True):
    """The node cannot run the pod: it fails for good."""

    reason: str
    message: str


class SandboxStarted(Struct, frozen=True):
    """`RunSandbox` is done."""

    sandbox_id: str
    ips: tuple[str, ...]


class SandboxFailed(Struct, frozen=True):
    """`RunSandbox` failed."""

    message: str


class SandboxLost(Struct, frozen=True):
    """The runtime no longer has this sandbox running."""

    sandbox_id: str


class ImageReady(Struct, frozen=True):
    """`Pull` is done."""

    name: str
    image_ref: str


class ImageFailed(Struct, frozen=True):
    """`Pull` failed for `reason` (`ErrImagePull`, `ErrImageNeverPull`, `InvalidImageName`, …)."""

    name: str
    reason: str
    message: str


class ContainerStarted(Struct, frozen=True):
    """`Start` is done, the postStart hook included."""

    name: str
    seen: Seen


class ContainerFailed(Struct, frozen=True):
    """`Start` failed before a container ran. `seen` is set when the runtime made one that ended at once."""

    name: str
    reason: str
    message: str
    seen: Seen | None = None


class ContainerSeen(Struct, frozen=True):
    """The runtime's present word on a container."""

    name: str
    seen: Seen


class ContainerGone(Struct, frozen=True):
    """A container vanished from the runtime."""

    name: str
    container_id: str
    #: When it was missed.
    at: datetime


class Resized(Struct, frozen=True):
    """`Resize` is done for these; what was refused comes with the reason."""

    done: tuple[Change, ...]
    refused: tuple[tuple[Change, str], ...] = ()


class ProbeChanged(Struct, frozen=True):
    """A probe of a container passed its threshold. `kind` is `startup`, `liveness` or `readiness`."""

    name: str
    container_id: str
    kind: str
    success: bool


class SandboxStopped(Struct, frozen=True):
    """`StopSandbox` is done."""


class TornDown(Struct, frozen=True):
    """`TearDown` is done."""


class Evict(Struct, frozen=True):
    """The node needs the pod's resources back."""

    reason: str
    message: str
    grace: int


class Tick(Struct, frozen=True):
    """Time has passed, or something the pod waits for changed (`retry`: try again what failed)."""

    retry: bool = False


Event = (
    PodChanged
    | PodRemoved
    | Adopted
    | Prepared
    | PrepareFailed
    | Rejected
    | SandboxStarted
    | SandboxFailed
    | SandboxLost
    | ImageReady
    | ImageFailed
    | ContainerStarted
    | ContainerFailed
    | ContainerSeen
    | ContainerGone
    | Resized
    | ProbeChanged
    | SandboxStopped
    | TornDown
    | Evict
    | Tick
)

# Instructions


class Prepare(Struct, frozen=True):
    """Make folders, cgroup and volumes. Answered by `Prepared`, `PrepareFailed` or `Rejected`."""


class RunSandbox(Struct, frozen=True):
    """Start a sandbox. Answered by `SandboxStarted` or `SandboxFailed`."""

    attempt: int


class Pull(Struct, frozen=True):
    """See to the container's image by its pull policy. Answered by `ImageReady` or `ImageFailed`."""

    name: str


class Start(Struct, frozen=True):
    """Create and start a container. Answered by `ContainerStarted` or `ContainerFailed`."""

    name: str
    attempt: int
    image_ref: str


class Stop(Struct, frozen=True):
    """Run preStop, send TERM, after `grace` seconds KILL. The end is reported by `ContainerSeen` or `ContainerGone`."""

    name: str
    container_id: str
    grace: int
    #: The text of the `Killing` event.
    message: str


class Resize(Struct, frozen=True):
    """Give containers that run other requests and limits. Answered by `Resized`."""

    changes: tuple[Change, ...]


class Remove(Struct, frozen=True):
    """Remove a dead container from the runtime."""

    container_id: str


class StopSandbox(Struct, frozen=True):
    """Stop the pod's sandboxes. Answered by `SandboxStopped`."""


class TearDown(Struct, frozen=True):
    """Unmount volumes and remove cgroups. Answered by `TornDown`."""


class CancelWork(Struct, frozen=True):
    """Give up a `Pull` or `Prepare` that runs; it is answered by its failure."""


class Note(Struct, frozen=True):
    """Record an event. `container` names the container it is about, if any."""

    type: str
    reason: str
    message: str
    container: str = ""


class DeletePod(Struct, frozen=True):
    """Write the final status, then delete the pod object for good."""


class Purge(Struct, frozen=True):
    """Remove containers, sandboxes, logs and folders; the worker's last instruction."""


class Wake(Struct, frozen=True):
    """Send a `Tick` at this monotonic time."""

    at: float


Instruction = (
    Prepare
    | RunSandbox
    | Pull
    | Start
    | Stop
    | Resize
    | Remove
    | StopSandbox
    | TearDown
    | CancelWork
    | Note
    | DeletePod
    | Purge
    | Wake
)
