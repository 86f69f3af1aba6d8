"""What starts next, what starts again and when, and when all is done.

Input: the pod's state and the time. Output: the container to start, waiting states, notes, times to wake at.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
"""

from __future__ import annotations

from datetime import timedelta

from knarr.kubelet.podworker.model import Backoff, Exit, Instruction, Moment, Note, Record
from knarr.kubelet.podworker.state import PodState

#: First and longest wait (seconds) before a container is started again, or its image is pulled again.
_CRASH = (10.0, 300.0)
_PULL = (10.0, 300.0)
#: The same where making a container failed.
_TRY = (1.0, 10.0)
#: How long a failed pull is told as such before it is told as a back-off.
_PULL_TOLD = 2.0
#: Failures of an image that no waiting mends; they keep their names.
_LASTING = ("ErrImageNeverPull", "InvalidImageName")


def next_to_start(state: PodState, now: Moment, out: list[Instruction]) -> Record | None:
    """The one container to start now, or None. Containers that have to wait get their waiting state."""
    candidates = [*state.of_kind("ephemeral"), *_init_candidates(state)]
    if _initialized(state):
        candidates += state.of_kind("main")
    for record in candidates:
        if _may_start(state, record, now, out):
            return record
    return None


def _init_candidates(state: PodState) -> list[Record]:
    """Sidecars that were reached, and the init container whose turn it is."""
    chosen = []
    for record in state.of_kind("init", "sidecar"):
        if record.kind == "sidecar":
            chosen.append(record)
            if not (record.started or mains_begun(state)):
                break
        elif not _completed(state, record) and not mains_begun(state):
            chosen.append(record)
            break
    return chosen


def _initialized(state: PodState) -> bool:
    """Whether the main containers may start."""
    return mains_begun(state) or all(
        record.started if record.kind == "sidecar" else _completed(state, record)
        for record in state.of_kind("init", "sidecar")
    )


def mains_begun(state: PodState) -> bool:
    """Whether a main container has been made in the present sandbox: init containers are behind us."""
    return any(each.container_id and not _outdated(state, each) for each in state.of_kind("main"))


def _outdated(state: PodState, record: Record) -> bool:
    """Whether a container belongs to an earlier sandbox: what prepares the pod has to do so again in a new one."""
    return bool(record.container_id) and record.sandbox != state.sandbox_attempt


def _again(state: PodState, record: Record) -> bool:
    """Whether a container starts again without regard to policy and back-off."""
    return record.forced or (record.kind in ("init", "sidecar") and _outdated(state, record))


def _completed(state: PodState, record: Record) -> bool:
    return record.exit is not None and record.exit.code == 0 and not _outdated(state, record)


def _may_start(state: PodState, record: Record, now: Moment, out: list[Instruction]) -> bool:
    if record.running:
        return False
    if record.exit is not None:
        if not restarts(state, record):
            return False
        _back_off(state, record, record.exit, now, out)
    return now.mono >= record.not_before


def _back_off(state: PodState, record: Record, ended: Exit, now: Moment, out: list[Instruction]) -> None:
    """Reckon once for each end how long to wait; the first restart comes at once."""
    if record.backed_off == ended.container_id:
        return
    record.backed_off = ended.container_id
    if _again(state, record) or _quiet(record.restarts, now.mono):
        return
    delay = record.restarts.delay
    left = delay - (now.wall - ended.finished_at).total_seconds()
    if left <= 0:
        return
    record.not_before = now.mono + min(left, delay)
    meta = state.pod["metadata"]
    pod = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
    record.waiting = (
        "CrashLoopBackOff",
        f"back-off {_duration(delay)} restarting failed container={record.name} pod={pod}",
    )
    out.append(
        Note("Warning", "BackOff", f"Back-off restarting failed container {record.name} in pod {pod}", record.name)
    )


def _quiet(backoff: Backoff, now: float) -> bool:
    """Nothing failed, or so long ago that it is forgiven."""
    return not backoff.delay or now - backoff.updated > 2 * _CRASH[1]


def starting(state: PodState, record: Record, now: Moment) -> None:
    """A container is about to be made: a restart lengthens the next wait."""
    if record.exit is not None and not _again(state, record):
        record.restarts.next(now.mono, *_CRASH)


def restarts(state: PodState, record: Record) -> bool:
    """Whether a container that ended is to be started again."""
    ended = record.exit
    if ended is None or _again(state, record):
        return True
    if record.kind == "ephemeral":
        return False
    if record.kind == "sidecar":
        return True
    for rule in record.spec.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        if rule.get("action") == "Restart" and (ended.code in (codes.get("values") or ())) == (
            codes.get("operator") == "In"
        ):
            return True
    policy = record.spec.get("restartPolicy") or state.pod["spec"].get("restartPolicy") or "Always"
    # An init container that has succeeded is never repeated.
    return policy != "Never" if ended.code else policy == "Always" and record.kind == "main"


def init_failed(state: PodState) -> bool:
    """Whether an init container failed for good."""
    return any(each.exit is not None and each.exit.code and not restarts(state, each) for each in state.of_kind("init"))


def all_done(state: PodState) -> bool:
    """Whether no container of the pod's own work runs or will run again."""
    mains = state.of_kind("main")
    if any(record.running for record in mains):
        return False
    if init_failed(state):
        return True
    return bool(mains) and all(record.exit is not None and not restarts(state, record) for record in mains)


def image_failed(record: Record, reason: str, message: str, now: float, *, ending: bool) -> None:
    """Take a failed pull: told as it is, then as a back-off, tried again after that."""
    record.waiting = record.pull_error = (reason, message)
    delay = record.pulls.next(now, *_PULL)
    record.not_before = now + delay
    lasting = ending or reason in _LASTING
    record.pull_turns_at = 0.0 if lasting else now + min(_PULL_TOLD, delay / 2)


def turn_pull_errors(state: PodState, now: float, out: list[Instruction]) -> None:
    """Tell pulls that failed a while ago as back-off."""
    for record in state.records.values():
        if record.pull_turns_at and now >= record.pull_turns_at and state.busy != f"pull:{record.name}":
            record.pull_turns_at = 0.0
            reason, message = record.pull_error
            text = f'Back-off pulling image "{record.spec.get("image", "")}"'
            record.waiting = ("ImagePullBackOff", f"{text}: {reason}: {message}")
            out.append(Note("Normal", "BackOff", text, record.name))
            out.append(Note("Warning", "Failed", "Error: ImagePullBackOff", record.name))


def delay_retry(record: Record, now: float) -> None:
    """Making the container failed before there was one."""
    record.not_before = now + record.tries.next(now, *_TRY)


def next_wake(state: PodState, now: Moment) -> float | None:
    """When (monotonic seconds) time alone changes something; None for never."""
    times = [state.not_before]
    for record in state.records.values():
        times.append(record.pull_turns_at)
        if not record.running:
            times.append(record.not_before)
    limit = state.pod["spec"].get("activeDeadlineSeconds")
    if limit is not None and state.start_time is not None:
        left = state.start_time + timedelta(seconds=limit) - now.wall
        times.append(now.mono + left.total_seconds())
    return min((time for time in times if time > now.mono), default=None)


def _duration(seconds: float) -> str:
    """As Go prints it: `10s`, `2m40s`, `5m0s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
