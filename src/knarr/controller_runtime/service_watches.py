"""Whom changes of pods wake, for controllers whose keys are Services."""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import SERVICES
from knarr.api.semantics import service_endpoints
from knarr.apimachinery.types import Object
from knarr.controller_runtime.controller import key_of
from knarr.controller_runtime.snapshot import Key, Snapshot


def services_of_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """The Services that select the pod, or did so before; none for a change that cannot matter."""
    if old is not None and new is not None and not service_endpoints.matters(old, new):
        return ()
    pods = [pod for pod in (old, new) if pod is not None]
    services = snapshot.list(SERVICES, pods[0]["metadata"].get("namespace", ""))
    return [
        key_of(SERVICES, service)
        for service in services
        if any(service_endpoints.selects(service, pod) for pod in pods)
    ]
