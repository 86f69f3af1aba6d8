"""The pods of this node: those the API server wants, and those the runtime still has.

Each has an executor from the moment it is known until nothing of it is left. Containers that ran before this kubelet
started are taken over as they are; what belongs to no pod any more is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from knarr.apimachinery.types import Object
from knarr.component_base import logs
from knarr.component_base.tasks import Tasks
from knarr.cri.messages import SandboxState
from knarr.cri.runtime import NOT_FOUND, CriError
from knarr.kubelet.executor import PodExecutor, Reports
from knarr.kubelet.host import Host
from knarr.kubelet.pod_names import CONTAINER_NAME, POD_UID
from knarr.kubelet.podworker import model
from knarr.kubelet.volumes.manager import MountFailure
from knarr.wire.messages import Message

_log = logs.get("kubelet.pods")
#: Seconds that a container of a pod that is no more gets to end.
_ORPHAN_GRACE = 30
#: Seconds between tries to remove one.
_ORPHAN_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
#: Seconds between looks at what emptyDirs take, and those that a pod that takes too much gets to end.
_DISK_PERIOD, _EVICTION_GRACE = 10.0, 1


class Pods:
    """`admit(pod, others)` gives (reason, message) of a pod that the node cannot run, or None."""

    def __init__(
        self,
        host: Host,
        reports: Reports,
        admit: Callable[[Object, Sequence[Object]], tuple[str, str] | None] = lambda pod, others: None,
    ) -> None:
        self._host, self._reports, self._admit = host, reports, admit
        self._executors: dict[str, PodExecutor] = {}
        self._by_name: dict[tuple[str, str], str] = {}
        self._found: dict[str, list[Message]] = {}
        self._sandboxes: dict[str, list[Message]] = {}
        self._tasks = Tasks()

    # what there is

    def all(self) -> list[Object]:
        """All pods of this node with their newest status."""
        return [executor.pod for executor in self._executors.values()]

    def get(self, namespace: str, name: str) -> Object | None:
        """A pod by name."""
        executor = self._executors.get(self._by_name.get((namespace, name), ""))
        return executor.pod if executor is not None else None

    def running(self) -> Iterable[tuple[Object, str, int, str]]:
        """(pod, container name, attempt, container id) of all running containers."""
        for executor in self._executors.values():
            for record in executor.worker.records.values():
                if record.running:
                    yield executor.worker.pod, record.name, record.attempt, record.container_id

    # from the API server

    async def take_stock(self) -> None:
        """Read what the runtime has, before the first pod comes. Raises `CriError`."""
        runtime = self._host.runtime
        sandboxes, found = await asyncio.gather(runtime.list_sandboxes(), runtime.list_containers())
        self._sandboxes, self._found = _by_pod(sandboxes), _by_pod(found)

    def changed(self, old: Object | None, new: Object | None) -> None:
        """A pod came, changed or went."""
        uid = (new or old or {})["metadata"]["uid"]
        if old is not None and new is not None and old["metadata"]["uid"] != uid:
            self._post(old["metadata"]["uid"], model.PodRemoved())
        if new is None:
            self._post(uid, model.PodRemoved())
        elif uid in self._executors:
            before = self._executors[uid].worker.pod
            self._post(uid, model.PodChanged(new))
            if before["metadata"].get("labels") != new["metadata"].get("labels") or (
                before["metadata"].get("annotations") != new["metadata"].get("annotations")
            ):
                self._tasks.start(self._refresh(new), f"refresh volumes of {new['metadata']['name']}")
        else:
            self._add(new)

    def retry(self, uids: Iterable[str]) -> None:
        """Something that these pods refer to has changed."""
        for uid in uids:
            self._post(uid, model.Tick(retry=True))

    async def remove_orphans(self) -> None:
        """End what the runtime has of pods that are no more. Call it once all pods are known. Raises `CriError`."""
        for uid in {*self._sandboxes, *self._found, *self._host.cgroups.pods()} - {*self._executors}:
            self._tasks.start(self._end_orphan(uid), f"orphan {uid}")

    async def close(self) -> None:
        """Let go of all pods; their containers keep running."""
        for executor in list(self._executors.values()):
            await executor.close()
        await self._tasks.close()

    # from the runtime

    async def ended(self, container_id: str) -> None:
        """A container or sandbox has ended."""
        for executor in self._executors.values():
            if executor.worker.sandbox_id == container_id:
                executor.post(model.SandboxLost(container_id))
                return
            for record in executor.worker.records.values():
                if record.container_id == container_id:
                    executor.exited(record.name, container_id)
                    return
        if any(executor.worker.busy.startswith("start") for executor in self._executors.values()):
            await self._ended_early(container_id)

    async def _ended_early(self, container_id: str) -> None:
        """One whose start has not been answered yet: the runtime knows whose it is."""
        with contextlib.suppress(CriError):
            labels = (await self._host.runtime.container_status(container_id))["labels"]
            executor = self._executors.get(labels.get(POD_UID, ""))
            if executor is not None:
                executor.exited(labels.get(CONTAINER_NAME, ""), container_id)

    async def relist(self) -> None:
        """Compare everything with the runtime. Raises `CriError`."""
        runtime = self._host.runtime
        alive = {each["id"] for each in await runtime.list_sandboxes() if each["state"] == SandboxState.READY}
        for executor in list(self._executors.values()):
            lost = executor.worker.sandbox_id
            await executor.look()
            if lost and lost not in alive and executor.worker.sandbox_id == lost and not executor.worker.ending:
                executor.post(model.SandboxLost(lost))

    async def keep_volumes_small(self) -> None:
        """Evict, for ever, pods whose emptyDirs on disk outgrow their limits."""
        while True:
            await self._host.clock.sleep(_DISK_PERIOD)
            for uid, executor in list(self._executors.items()):
                worker = executor.worker
                volumes = worker.pod["spec"].get("volumes") or ()
                if worker.ending or not any((each.get("emptyDir") or {}).get("sizeLimit") for each in volumes):
                    continue
                if message := await self._host.volumes.over_limit(uid):
                    executor.post(model.Evict("Evicted", message, _EVICTION_GRACE))

    # inside

    def _post(self, uid: str, event: model.Event) -> None:
        if uid in self._executors:
            self._executors[uid].post(event)

    async def _refresh(self, pod: Object) -> None:
        try:
            await self._host.volumes.refresh(pod)
        except MountFailure as failure:
            for message in failure.messages:
                self._host.record(pod, model.Note("Warning", "FailedMount", message))

    def _add(self, pod: Object) -> None:
        meta = pod["metadata"]
        uid = meta["uid"]
        executor = PodExecutor(pod, self._host, self._reports, self._purged)
        if "deletionTimestamp" not in meta and not executor.worker.foreign_end:
            self._judge(executor, pod)
        self._executors[uid] = executor
        self._by_name[meta["namespace"], meta["name"]] = uid
        if uid in self._sandboxes or uid in self._found:
            self._tasks.start(self._adopt(executor), f"adopt {meta['name']}")
        else:
            self._begin(executor, model.Adopted("", -1, (), {}))

    def _judge(self, executor: PodExecutor, pod: Object) -> None:
        """A pod that runs already has been admitted before."""
        if executor.uid in self._found:
            return
        others = [
            each.worker.pod
            for each in self._executors.values()
            if not each.worker.finished and not each.worker.deleting
        ]
        executor.rejection = self._admit(pod, others)

    def _begin(self, executor: PodExecutor, adopted: model.Adopted) -> None:
        if executor.rejection is not None:
            executor.worker.busy = "prepare"
            executor.post(model.Rejected(*executor.rejection))
            return
        executor.post(adopted)

    async def _adopt(self, executor: PodExecutor) -> None:
        uid = executor.uid
        sandboxes, found = self._sandboxes.pop(uid, []), self._found.pop(uid, [])
        while True:
            try:
                adopted = await executor.adopted(sandboxes, found)
                break
            except CriError as error:
                _log.warning("pod not adopted yet", uid=uid, error=error)
                await self._host.clock.sleep(1)
        self._begin(executor, adopted)

    def _purged(self, uid: str) -> None:
        executor = self._executors.pop(uid, None)
        if executor is None:
            return
        meta = executor.worker.pod["metadata"]
        if self._by_name.get((meta["namespace"], meta["name"])) == uid:
            del self._by_name[meta["namespace"], meta["name"]]
        self._tasks.start(executor.close(), f"close {meta['name']}")

    async def _end_orphan(self, uid: str) -> None:
        """Stop and remove, however often it takes: the runtime may be away."""
        _log.info("removing orphan", uid=uid)
        found, sandboxes = self._found.pop(uid, []), self._sandboxes.pop(uid, [])
        pause = _ORPHAN_PAUSE
        while True:
            try:
                await self._remove_orphan(uid, found, sandboxes)
                return
            except (CriError, OSError) as error:
                _log.warning("orphan not removed yet", uid=uid, error=error)
                await self._host.clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _remove_orphan(self, uid: str, found: Sequence[Message], sandboxes: Sequence[Message]) -> None:
        runtime = self._host.runtime
        for container in found:
            with _unless_gone():
                await runtime.stop_container(container["id"], _ORPHAN_GRACE)
        for sandbox in sandboxes:
            with _unless_gone():
                await runtime.stop_sandbox(sandbox["id"])
                await runtime.remove_sandbox(sandbox["id"])
        await self._host.volumes.teardown(uid)
        for group in self._host.cgroups.pods().get(uid, ()):
            await self._host.cgroups.remove(group)


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    """What the runtime does not know any more needs no end."""
    try:
        yield
    except CriError as error:
        if error.code != NOT_FOUND:
            raise


def _by_pod(items: Iterable[Message]) -> dict[str, list[Message]]:
    """Newest first."""
    found: dict[str, list[Message]] = {}
    for item in sorted(items, key=lambda each: -int(each["created_at"])):
        labels: Mapping[str, str] = item["labels"]
        if uid := labels.get(POD_UID):
            found.setdefault(uid, []).append(item)
    return found
