"""A runtime whose calls are counted and timed (`kubelet_runtime_operations_…`)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, cast

from knarr.cri.runtime import CriError, Runtime
from knarr.kubelet.metrics import RuntimeMetrics

#: Kubernetes' names of operations where they are not those of the methods.
_NAMES = {
    "run_sandbox": "run_podsandbox",
    "stop_sandbox": "stop_podsandbox",
    "remove_sandbox": "remove_podsandbox",
    "sandbox_status": "podsandbox_status",
    "list_sandboxes": "list_podsandbox",
    "update_resources": "update_container_resources",
    "reopen_log": "reopen_container_log",
    "container_stats": "list_container_stats",
}


def measured(runtime: Runtime, metrics: RuntimeMetrics) -> Runtime:
    """The runtime, its calls counted."""
    return cast(Runtime, _Measured(runtime, metrics))


class _Measured:
    """Passes everything on; what is awaited is timed."""

    def __init__(self, runtime: Runtime, metrics: RuntimeMetrics) -> None:
        self._runtime = runtime
        self._metrics = metrics

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._runtime, name)
        if not inspect.iscoroutinefunction(found) or name == "close":
            return found
        timed = self._timed(_NAMES.get(name, name), found)
        # The next look-up finds it without coming here.
        setattr(self, name, timed)
        return timed

    def _timed(self, operation: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        key, metrics = (operation,), self._metrics

        async def call(*args: Any, **named: Any) -> Any:
            began = perf_counter()
            metrics.total.add(key)
            try:
                return await method(*args, **named)
            except CriError:
                metrics.errors.add(key)
                raise
            finally:
                metrics.latency.observe(perf_counter() - began, key)

        return call
