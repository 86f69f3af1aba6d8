"""Runs a container's hooks. https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/."""

from __future__ import annotations

from knarr.apimachinery.types import Object
from knarr.component_base.clock import Clock
from knarr.cri.runtime import RuntimeService
from knarr.kubelet.probe_actions import ActionError, Target, act

#: An HTTP hook has no time limit of its own but the pod's patience; this is a last one, in seconds.
_LONGEST = 24 * 3600.0


class HookFailed(Exception):
    """A hook failed; the text may hold secrets and belongs into no event."""


async def run_hook(hook: Object, target: Target, runtime: RuntimeService, clock: Clock) -> None:
    """Run one hook to its end. Raises `HookFailed`."""
    if sleep := hook.get("sleep"):
        await clock.sleep(float(sleep.get("seconds") or 0))
        return
    try:
        outcome = await act(hook, target, _LONGEST, runtime)
    except ActionError as error:
        raise HookFailed(str(error)) from error
    if not outcome.success:
        raise HookFailed(outcome.message)
