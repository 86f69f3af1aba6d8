"""Sees to it that a container's image is on the node, by its pull policy.

One pull an image at a time, whoever asks for it; different images are pulled side by side. Back-off between failures
is the pod worker's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from knarr.api.registry import SECRETS
from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.cri.image_names import InvalidReference, normalise, pull_policy, split
from knarr.cri.runtime import CriError, ImageService
from knarr.kubelet import credentials
from knarr.kubelet.credentials import Config, Credential, CredentialsFault, Keyring
from knarr.kubelet.pull_records import PullRecords, credential_key
from knarr.wire.messages import Message

_log = logs.get("kubelet.images")
ERR_IMAGE_PULL = "ErrImagePull"
ERR_IMAGE_NEVER_PULL = "ErrImageNeverPull"
ERR_IMAGE_INSPECT = "ImageInspectError"
IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
INVALID_IMAGE_NAME = "InvalidImageName"
REGISTRY_UNAVAILABLE = "RegistryUnavailable"
SIGNATURE_INVALID = "SignatureValidationFailed"
#: What a runtime may begin its words with → how they are told.
_TELLING = {
    REGISTRY_UNAVAILABLE: "image pull failed for {image} because the registry is unavailable{rest}",
    SIGNATURE_INVALID: "image pull failed for {image} because the signature validation failed{rest}",
}


class ImageFault(Exception):
    """There is no image. `reason` and `message` are those of the container's waiting state."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class Note(NamedTuple):
    """An event about the container whose image it is: `Normal` or `Warning`, reason, message."""

    type: str
    reason: str
    message: str


class Objects(Protocol):
    """Where pull secrets come from (`referenced.Referenced`; the pod must have been added to it)."""

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object. Raises `StatusError`."""
        ...


class Access(NamedTuple):
    """One way to pull: the credential (None: as nobody), and the keys it is recorded under (none: the node's own)."""

    credential: Credential | None
    keys: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class _Pull:
    """A pull under way and how many wait for it."""

    task: asyncio.Task[str | CriError]
    waiting: int = 0


class ImagePuller:
    """Pulls. `configs` are Docker configuration files of the node, for registries that no pull secret knows."""

    def __init__(
        self,
        runtime: ImageService,
        objects: Objects,
        clock: Clock,
        configs: Iterable[Path] = (),
        records: PullRecords | None = None,
    ) -> None:
        self._runtime, self._objects, self._clock = runtime, objects, clock
        self._configs = tuple(configs)
        self._records = records or PullRecords()
        self._pulls: dict[tuple[str, Credential | None], _Pull] = {}
        self._tasks = Tasks()

    async def ensure(
        self, pod: Object, container: Object, tell: Callable[[Note], None], sandbox: Message | None = None
    ) -> str:
        """The runtime's reference (`sha256:…`) of the container's image, pulled where its policy asks for that.

        `tell` gets the events on the way. Raises `ImageFault`.
        """
        image = container["image"]
        try:
            return await self._ensure(pod, container, tell, sandbox)
        except ImageFault as fault:
            _log.info("no image", image=image, pod=pod["metadata"]["name"], reason=fault.reason, why=fault.message)
            tell(Note("Warning", "Failed", f"Error: {fault.reason}"))
            raise

    async def close(self) -> None:
        """End the pulls that are under way."""
        await self._tasks.close()

    async def _ensure(
        self, pod: Object, container: Object, tell: Callable[[Note], None], sandbox: Message | None
    ) -> str:
        image = container["image"]
        full = _parse(image, tell)
        present = await self._inspect(full, image, tell)
        policy = container.get("imagePullPolicy") or pull_policy(image)
        if present and policy != "Always" and await self._accessible(pod, full, present, tell):
            text = f'Container image "{image}" already present on machine and can be accessed by the pod'
            tell(Note("Normal", "Pulled", text))
            return present
        if policy == "Never":
            raise _never(image, tell, present=bool(present))
        tell(Note("Normal", "Pulling", f'Pulling image "{image}"'))
        began = self._clock.monotonic()
        try:
            reference = await self._pull(full, await self._accesses(pod, full, tell), sandbox)
        except (CriError, CredentialsFault) as error:
            tell(Note("Warning", "Failed", f'Failed to pull image "{image}": {error}'))
            raise _evaluated(image, error) from error
        took = duration(self._clock.monotonic() - began)
        tell(Note("Normal", "Pulled", await self._pulled(full, image, took)))
        return reference

    async def _accessible(self, pod: Object, full: str, image_id: str, tell: Callable[[Note], None]) -> bool:
        """Whether the pod may use an image that is there: it has to show what the image was pulled with."""
        repository = split(full)[0]
        if self._records.open_to_all(image_id, repository):
            return True
        try:
            accesses = await self._accesses(pod, full, tell)
        except CredentialsFault:
            return False  # told when the pull that follows fails on it
        return self._records.allows(image_id, repository, [key for access in accesses for key in access.keys])

    async def _inspect(self, full: str, image: str, tell: Callable[[Note], None]) -> str:
        try:
            found = await self._runtime.image_status(full)
        except CriError as error:
            message = f'Failed to inspect image "{image}": {error}'
            tell(Note("Warning", "InspectFailed", message))
            raise ImageFault(ERR_IMAGE_INSPECT, message) from error
        return str(found["id"]) if found else ""

    async def _pulled(self, full: str, image: str, took: str) -> str:
        message = f'Successfully pulled image "{image}" in {took} ({took} including waiting).'
        try:
            found = await self._runtime.image_status(full)
        except CriError:
            return message  # the size is all that is lost
        return f"{message} Image size: {found['size']} bytes." if found else message

    async def _accesses(self, pod: Object, full: str, tell: Callable[[Note], None]) -> list[Access]:
        """Ways to pull, the pod's own before the node's; as nobody where none fits. Raises `CredentialsFault`."""
        repository = split(full)[0]
        configs: dict[str, Config] = {}
        missing = []
        namespace = pod["metadata"]["namespace"]
        for reference in (pod.get("spec") or {}).get("imagePullSecrets") or ():
            name = reference.get("name", "")
            try:
                secret = await self._objects.get(SECRETS, namespace, name)
            except StatusError as error:
                _log.warning("pull secret not read", pod=pod["metadata"]["name"], secret=name, error=str(error))
                missing.append(name)
                continue
            configs[f"{namespace}/{name}/{secret['metadata'].get('uid', '')}"] = credentials.of_secret(secret)
        if missing:
            text = f"Unable to retrieve some image pull secrets ({', '.join(missing)})"
            text += "; attempting to pull the image may not succeed."
            tell(Note("Warning", "FailedToRetrieveImagePullSecret", text))
        node = Keyring(credentials.of_json(path.read_bytes()) for path in self._configs if path.is_file())
        own = [
            Access(each, (credential_key(each), *(key for key, config in configs.items() if each in config.values())))
            for each in Keyring(configs.values()).lookup(repository)
        ]
        return [*own, *map(Access, node.lookup(repository))] or [Access(None)]

    async def _pull(self, full: str, accesses: Iterable[Access], sandbox: Message | None) -> str:
        """Try one way after the other. Raises the runtime's refusals together."""
        errors: list[CriError] = []
        for access in accesses:
            try:
                reference = await self._shared(full, access.credential, sandbox)
            except CriError as error:
                errors.append(error)
                continue
            self._records.pulled(reference, split(full)[0], access.keys)
            return reference
        texts = list(dict.fromkeys(error.message for error in errors))
        raise CriError(errors[0].code, texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")

    async def _shared(self, full: str, credential: Credential | None, sandbox: Message | None) -> str:
        """Join the pull of the same image with the same credential, or begin it; the last who leaves ends it."""
        key = (full, credential)
        pull = self._pulls.get(key)
        if pull is None:
            auth = {"username": credential.username, "password": credential.password} if credential else None
            pull = self._pulls[key] = _Pull(self._tasks.start(self._fetch(full, auth, sandbox), f"pull {full}"))
        pull.waiting += 1
        try:
            outcome = await asyncio.shield(pull.task)
        finally:
            pull.waiting -= 1
            if not pull.waiting:
                pull.task.cancel()
                if self._pulls.get(key) is pull:
                    del self._pulls[key]
        if isinstance(outcome, CriError):
            raise outcome
        return outcome

    async def _fetch(self, full: str, auth: Message | None, sandbox: Message | None) -> str | CriError:
        """A failure is an outcome too: it is told to each who waits, and is no fault of the task."""
        try:
            return await self._runtime.pull_image(full, auth, sandbox)
        except CriError as error:
            return error


def _parse(image: str, tell: Callable[[Note], None]) -> str:
    try:
        return normalise(image)
    except InvalidReference as error:
        message = f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {error}'
        tell(Note("Warning", "InspectFailed", message))
        raise ImageFault(INVALID_IMAGE_NAME, message) from error


def _never(image: str, tell: Callable[[Note], None], *, present: bool) -> ImageFault:
    """What the policy `Never` forbids."""
    message = f'Container image "{image}" is not present with pull policy of Never'
    if present:
        message = (
            f'Container image "{image}" is present with pull policy of Never but does not have the proper '
            "credentials to access the image"
        )
    tell(Note("Warning", ERR_IMAGE_NEVER_PULL, message))
    return ImageFault(ERR_IMAGE_NEVER_PULL, message)


def _evaluated(image: str, error: Exception) -> ImageFault:
    """A failed pull in the terms of the container's status."""
    words = error.message if isinstance(error, CriError) else str(error)
    for reason, telling in _TELLING.items():
        if words.startswith(reason):
            return ImageFault(reason, telling.format(image=image, rest=words.removeprefix(reason)))
    return ImageFault(ERR_IMAGE_PULL, str(error))


def back_off(image: str, before: ImageFault | None = None) -> ImageFault:
    """The state of a container between two pulls; `before` is the last one's failure."""
    text = f'Back-off pulling image "{image}"'
    return ImageFault(IMAGE_PULL_BACK_OFF, f"{text}: {before}" if before else text)


def duration(seconds: float) -> str:
    """A span as Go prints it, to the millisecond: `1m2.5s`, `340ms`."""
    milliseconds = int(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
