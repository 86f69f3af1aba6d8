"""The pod worker: one pod's life as a state machine.

Input: events (`model.py`) and the time. Output: instructions; their results come back as events.

Invariants: at most one preparing instruction (`Prepare`, `RunSandbox`, `Pull`, `Start`) is under way; a container that
runs is never started; nothing starts once termination began; termination always ends in `TornDown`, and a pod that was
deleted in `DeletePod` and `Purge`, once each.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from datetime import datetime

from knarr.apimachinery.types import Object
from knarr.kubelet.podworker import model, resizes, restarts, status
from knarr.kubelet.podworker.model import Instruction, Moment, Record
from knarr.kubelet.podworker.state import PodState

#: Seconds between tries of what failed, doubled up to the second.
_RETRY = (0.5, 10.0)
_DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


class PodWorker(PodState):
    """One pod and what happens next."""

    # in and out

    def handle(self, event: model.Event, now: Moment) -> list[Instruction]:
        """Take one event, give what is to be done."""
        if self.start_time is None:
            self.start_time = now.wall
        out: list[Instruction] = []
        self._take(event, now, out)
        if self.ending:
            self._advance_end(out)
        else:
            self._advance(now, out)
        return out

    def status(self, now: Moment) -> Object:
        """The pod's status as it is now to be reported; conditions keep their times from call to call."""
        made = status.generate(self, now.wall)
        self.conditions = {condition["type"]: condition for condition in made.get("conditions", ())}
        return made

    # events

    def _take(self, event: model.Event, now: Moment, out: list[Instruction]) -> None:
        match event:
            case model.PodChanged(pod):
                self._pod_changed(pod, now, out)
            case model.PodRemoved():
                self.removed = True
                self._end(self._grace_of_pod(), out)
            case model.Adopted():
                self._adopt(event)
            case model.Evict(reason, message, grace):
                if not self.ending:
                    self.failure = (reason, message)
                    out.append(model.Note("Warning", reason, message))
                    self._end(grace, out)
            case model.Tick(retry):
                if retry:
                    self._forget_waits()
            case model.SandboxStopped() | model.TornDown():
                self._end_step(event, out)
            case _:
                self._take_result(event, now, out)

    def _take_result(self, event: model.Event, now: Moment, out: list[Instruction]) -> None:
        match event:
            case model.Prepared():
                self.busy, self.prepared, self.retry = "", True, model.Backoff()
            case model.PrepareFailed() | model.SandboxFailed():
                self._failed_step(now)
                if isinstance(event, model.SandboxFailed) and not self.ending:
                    text = f"Failed to create pod sandbox: {event.message}"
                    out.append(model.Note("Warning", "FailedCreatePodSandBox", text))
            case model.Rejected(reason, message):
                self.busy = ""
                self.failure = (reason, message)
                out.append(model.Note("Warning", reason, message))
                self._end(0, out)
            case model.SandboxStarted(sandbox_id, ips):
                self.busy, self.retry = "", model.Backoff()
                self.sandbox_id, self.ips = sandbox_id, ips
                self.sandbox_attempt += 1
            case model.SandboxLost(sandbox_id):
                self._sandbox_lost(sandbox_id, out)
            case _:
                self._take_container(event, now, out)

    def _take_container(self, event: model.Event, now: Moment, out: list[Instruction]) -> None:
        match event:
            case model.ImageReady(name, image_ref):
                self.busy = ""
                self.images[name] = image_ref
                self.records[name].pull_turns_at = 0.0
            case model.ImageFailed(name, reason, message):
                self.busy = ""
                restarts.image_failed(self.records[name], reason, message, now.mono, ending=bool(self.ending))
            case model.ContainerStarted(name, seen):
                self.busy = ""
                self._started(self.records[name], seen)
            case model.ContainerFailed():
                self._container_failed(event, now, out)
            case model.ContainerSeen(name, seen):
                self._container_seen(name, seen)
            case model.ContainerGone(name, container_id, at):
                self._container_gone(name, container_id, at)
            case model.Resized():
                resizes.take(self, event)
            case model.ProbeChanged():
                self._probe(event, out)

    def _pod_changed(self, pod: Object, now: Moment, out: list[Instruction]) -> None:
        if str(pod["metadata"]["uid"]) != self.uid:
            return
        self.pod = pod
        self.read_spec()
        if "deletionTimestamp" in pod["metadata"]:
            self._end(self._grace_of_pod(), out)
        elif status.is_terminal(pod) and not self.ending:
            self.foreign_end = True
            self._end(0, out)
        else:
            self._restart_changed(out)

    def _adopt(self, event: model.Adopted) -> None:
        self.sandbox_id, self.sandbox_attempt, self.ips = event.sandbox_id, event.sandbox_attempt, event.ips
        reported = status.reported_containers(self.pod)
        for name, seen in event.containers.items():
            record = self.records.get(name)
            if record is None or not seen:
                continue
            if len(seen) > 1:
                record.last = seen[1].exit
            record.dead = [each.container_id for each in seen[1:]]
            record.sandbox = event.sandbox_attempt
            record.asked_image = str(record.spec.get("image", ""))
            self._apply(record, seen[0])
            before = reported.get(name, {})
            record.given = resizes.asked(record)
            if record.running and before.get("containerID", "").endswith("/" + record.container_id):
                record.given = before.get("resources", record.given)
                record.started = bool(before.get("started"))
                record.ready = bool(before.get("ready"))

    def _restart_changed(self, out: list[Instruction]) -> None:
        """A running container whose image was changed starts anew, whatever its restart policy."""
        for record in self.records.values():
            if record.running and record.asked_image and record.asked_image != record.spec.get("image"):
                record.forced = True
                text = f"Container {record.name} definition changed, will be restarted"
                self._stop(record, self._spec_grace(), text, out)

    def _resize(self, out: list[Instruction]) -> None:
        """Containers whose requests or limits were changed get them, in place or by a new start."""
        for record in resizes.to_restart(self):
            record.forced = True
            self._stop(record, self._spec_grace(), f"Container {record.name} resize requires restart", out)
        if changes := resizes.changes(self):
            self.resizing = True
            out.append(model.Resize(changes))

    def _sandbox_lost(self, sandbox_id: str, out: list[Instruction]) -> None:
        if sandbox_id != self.sandbox_id:
            return
        self.sandbox_id = ""
        if not self.ending and not restarts.all_done(self):
            out.append(model.Note("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created."))

    def _started(self, record: Record, seen: model.Seen) -> None:
        if record.exit is not None:
            record.last, record.exit = record.exit, None
        if record.container_id and record.container_id != seen.container_id:
            record.dead.insert(0, record.container_id)
        record.stopping = record.forced = False
        record.sandbox = self.sandbox_attempt
        record.waiting = None
        record.asked_image = str(record.spec.get("image", ""))
        self._apply(record, seen)
        early = self.early.pop(seen.container_id, None)
        if early is not None:
            self._apply(record, early)

    def _apply(self, record: Record, seen: model.Seen) -> None:
        """Take over what the runtime says about the current container."""
        if record.container_id != seen.container_id:
            record.started = record.ready = False
        record.container_id, record.attempt = seen.container_id, seen.attempt
        record.image, record.image_id = seen.image or record.image, seen.image_id or record.image_id
        record.started_at = seen.started_at
        record.exit = seen.exit
        record.running = seen.exit is None and seen.started_at is not None
        if record.running:
            record.started = record.started or not record.has_probe("startup")
            record.ready = record.started and (record.ready or not record.has_probe("readiness"))
        else:
            record.started = record.ready = False

    def _container_seen(self, name: str, seen: model.Seen) -> None:
        record = self.records.get(name)
        if record is None:
            return
        if record.container_id != seen.container_id:
            if self.busy == f"start:{name}" and seen.exit is not None:
                self.early[seen.container_id] = seen
            return
        if record.exit is None:
            self._apply(record, seen)
            record.stopping = record.stopping and record.running

    def _container_gone(self, name: str, container_id: str, at: datetime) -> None:
        record = self.records.get(name)
        if record is None or record.container_id != container_id or record.exit is not None:
            return
        message = "The container could not be located when the pod was terminated"
        gone = model.Exit(container_id, 137, "ContainerStatusUnknown", message, record.started_at, at)
        self._apply(
            record,
            model.Seen(container_id, record.attempt, record.image, record.image_id, record.started_at, gone),
        )
        record.stopping = False

    def _container_failed(self, event: model.ContainerFailed, now: Moment, out: list[Instruction]) -> None:
        self.busy = ""
        record = self.records[event.name]
        if event.seen is not None:
            self._started(record, event.seen)
        record.waiting = (event.reason, event.message)
        if event.seen is None:
            restarts.delay_retry(record, now.mono)
        if not self.ending:
            out.append(model.Note("Warning", "Failed", f"Error: {event.message}", event.name))

    def _probe(self, event: model.ProbeChanged, out: list[Instruction]) -> None:
        record = self.records.get(event.name)
        if record is None or record.container_id != event.container_id or not record.running:
            return
        if event.kind == "readiness":
            record.ready = event.success and record.started
        elif event.kind == "startup" and event.success:
            record.started = True
            record.ready = not record.has_probe("readiness")
        elif not event.success and not self.ending:
            probe = record.spec.get(f"{event.kind}Probe", {})
            grace = probe.get("terminationGracePeriodSeconds")
            text = f"Container {event.name} failed {event.kind} probe, will be restarted"
            self._stop(record, self._spec_grace() if grace is None else int(grace), text, out)

    def _failed_step(self, now: Moment) -> None:
        self.busy = ""
        self.not_before = now.mono + self.retry.next(now.mono, *_RETRY)

    def _forget_waits(self) -> None:
        """Something changed: what failed for want of it is tried at once, back-off of crashes and pulls stays."""
        self.not_before = 0.0
        for record in self.records.values():
            if record.waiting is not None and record.waiting[0] == "CreateContainerConfigError":
                record.not_before = 0.0

    # going on

    def _advance(self, now: Moment, out: list[Instruction]) -> None:
        self._check_deadline(now, out)
        if not self.ending and self.deleting:
            self._end(self._grace_of_pod(), out)
        if not self.ending and (self.foreign_end or restarts.all_done(self)):
            self._end(self._spec_grace(), out)
        if self.ending:
            self._advance_end(out)
            return
        self._resize(out)
        if not self.busy:
            self._next_step(now, out)
        restarts.turn_pull_errors(self, now.mono, out)
        self._trim_dead(out)
        wake = restarts.next_wake(self, now)
        if wake is not None:
            out.append(model.Wake(wake))

    def _check_deadline(self, now: Moment, out: list[Instruction]) -> None:
        limit = self.pod["spec"].get("activeDeadlineSeconds")
        if limit is None or self.start_time is None or self.failure is not None:
            return
        if (now.wall - self.start_time).total_seconds() >= limit:
            self.failure = ("DeadlineExceeded", _DEADLINE_MESSAGE)
            out.append(model.Note("Normal", "DeadlineExceeded", _DEADLINE_MESSAGE))
            self._end(self._spec_grace(), out)

    def _next_step(self, now: Moment, out: list[Instruction]) -> None:
        if now.mono < self.not_before:
            return
        if not self.prepared:
            self._order("prepare", model.Prepare(), out)
        elif not self.sandbox_id:
            self._renew_sandbox(out)
        else:
            record = restarts.next_to_start(self, now, out)
            if record is None:
                return
            if record.name not in self.images:
                self._order(f"pull:{record.name}", model.Pull(record.name), out)
            else:
                image_ref = self.images.pop(record.name)
                restarts.starting(self, record, now)
                record.given, record.refused = resizes.asked(record), None
                self._order(f"start:{record.name}", model.Start(record.name, record.attempt + 1, image_ref), out)

    def _renew_sandbox(self, out: list[Instruction]) -> None:
        """A new sandbox; what still runs in the old one has to end first."""
        running = [record for record in self.records.values() if record.running]
        for record in running:
            self._stop(record, self._spec_grace(), f"Stopping container {record.name}", out)
        if not running:
            self._order("sandbox", model.RunSandbox(self.sandbox_attempt + 1), out)

    def _order(self, busy: str, instruction: Instruction, out: list[Instruction]) -> None:
        self.busy = busy
        out.append(instruction)

    def _stop(self, record: Record, grace: int, message: str, out: list[Instruction]) -> None:
        if record.running and not record.stopping:
            record.stopping = True
            out.append(model.Stop(record.name, record.container_id, grace, message))

    def _trim_dead(self, out: list[Instruction]) -> None:
        """Keep the last dead container of each name, for `kubectl logs --previous`."""
        for record in self.records.values():
            for container_id in record.dead[1:]:
                out.append(model.Remove(container_id))
            del record.dead[1:]

    # ending

    def _spec_grace(self) -> int:
        grace = self.pod["spec"].get("terminationGracePeriodSeconds")
        return 30 if grace is None else int(grace)

    def _grace_of_pod(self) -> int:
        grace = self.pod["metadata"].get("deletionGracePeriodSeconds")
        return max(1, self._spec_grace() if grace is None else int(grace))

    def _end(self, grace: int, out: list[Instruction]) -> None:
        """Begin to end, or end faster than was begun."""
        faster = self.grace is not None and grace < self.grace
        self.grace = grace if self.grace is None else min(grace, self.grace)
        if not self.ending:
            self.ending = "stopping"
            for record in self.records.values():
                record.stopping = False
        elif faster and self.ending == "stopping":
            for record in self.records.values():
                record.stopping = False
        if self.busy.startswith(("pull", "prepare")) and not self.cancelled:
            self.cancelled = True
            out.append(model.CancelWork())

    def _advance_end(self, out: list[Instruction]) -> None:
        if self.ending == "stopping" and not self._stop_all(out) and not self.busy:
            self.ending = "sandbox"
            out.append(model.StopSandbox())
        if self.ending == "done" and self.deleting and not self.deleted:
            self.deleted = True
            if not self.removed:
                out.append(model.DeletePod())
            out.append(model.Purge())

    def _stop_all(self, out: list[Instruction]) -> bool:
        """Stop what runs, sidecars last and in reverse order; whether anything still runs."""
        running = [record for record in self.records.values() if record.running]
        others = [record for record in running if record.kind != "sidecar"]
        for record in others or running[-1:]:
            self._stop(record, self.grace or 0, f"Stopping container {record.name}", out)
        return bool(running)

    def _end_step(self, event: model.Event, out: list[Instruction]) -> None:
        if isinstance(event, model.SandboxStopped) and self.ending == "sandbox":
            self.ending = "teardown"
            out.append(model.TearDown())
        elif isinstance(event, model.TornDown) and self.ending == "teardown":
            self.ending = "done"
