"""containerLogs: a container's log from its file.

Source of texts: pkg/kubelet/server (getContainerLogs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from knarr.apimachinery.types import Object
from knarr.component_base.clock import Clock
from knarr.component_base.http import Request, Response
from knarr.cri.runtime import CriError
from knarr.kubelet import log_lines, logs
from knarr.kubelet.log_lines import LogOptions
from knarr.kubelet.server.answers import Refused, text
from knarr.kubelet.server.containers import NoContainer, is_running, log_id, names
from knarr.kubelet.server.view import KubeletView


class ContainerLogs:
    """Answers `/containerLogs/…`."""

    def __init__(self, view: KubeletView, clock: Clock) -> None:
        self._view = view
        self._clock = clock

    async def __call__(self, request: Request, pod: Object, container: str) -> Response:
        """The log as a stream."""
        options = self._options(request.query)
        meta = pod["metadata"]
        if container not in names(pod):
            raise Refused(404, f'container "{container}" not found in pod "{meta["name"]}"\n')
        try:
            found = log_id(pod, container, previous=request.query.get("previous") == "true")
        except NoContainer as error:
            raise Refused(400, str(error)) from error
        path = await self._path(found)
        if path is None or not path.exists():
            # As Kubernetes has it: the words take the place of the log.
            return text(f"unable to retrieve container logs for {_runtime_id(pod, container, found)}")
        ended = self._ended(meta, container, found)
        return Response(200, logs.read(path, options, ended), "text/plain", patient=True)

    def _options(self, query: Mapping[str, str]) -> LogOptions:
        try:
            seconds = _number(query, "sinceSeconds")
            return LogOptions(
                follow=query.get("follow") == "true",
                tail=_number(query, "tailLines"),
                since=log_lines.since(self._clock.now(), seconds, query.get("sinceTime")),
                timestamps=query.get("timestamps") == "true",
                limit=_number(query, "limitBytes"),
            )
        except ValueError as error:
            raise Refused(400, '{"message": "Unable to decode query."}') from error

    async def _path(self, container_id: str) -> Path | None:
        try:
            status = await self._view.runtime.container_status(container_id)
        except CriError:
            return None
        return Path(status["log_path"]) if status.get("log_path") else None

    def _ended(self, meta: Object, container: str, container_id: str) -> Callable[[], bool]:
        return lambda: not is_running(self._view.pod(meta["namespace"], meta["name"]), container, container_id)


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    number = int(text)
    if number < 0:
        raise ValueError(f"{name} must not be negative")
    return number


def _runtime_id(pod: Object, container: str, bare_id: str) -> str:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        scheme, _, _ = str(status.get("containerID") or "").rpartition("://")
        if status["name"] == container and scheme:
            return f"{scheme}://{bare_id}"
    return bare_id
