"""exec, attach, portForward and run: streams between whoever asks and a pod's containers.

The runtime gives a URL on its own streaming server, which speaks SPDY and WebSocket; the connection is carried there
byte by byte.
"""

from __future__ import annotations

from collections.abc import Awaitable
from urllib.parse import urlsplit

from knarr.apimachinery.types import Object
from knarr.component_base import http_client
from knarr.component_base.http import RawStream, Request, Response
from knarr.component_base.http_client import Address, Connect, Outgoing
from knarr.component_base.tunnel import join
from knarr.cri.messages import SandboxState
from knarr.cri.runtime import CriError
from knarr.kubelet.server.answers import Refused, text
from knarr.kubelet.server.containers import NoContainer, has_terminal, running_id
from knarr.kubelet.server.view import KubeletView

_POD_UID = "io.kubernetes.pod.uid"
_REFUSAL = 64 * 1024
#: Headers that make up the client's side of an upgrade.
_UPGRADE = ("connection", "upgrade", "origin", "user-agent")
_UPGRADE_PREFIXES = ("sec-websocket-", "x-stream-protocol-version")


class Streams:
    """Answers the paths that stream."""

    def __init__(self, view: KubeletView, connect: Connect = http_client.connect) -> None:
        self._view = view
        self._connect = connect

    async def exec(self, request: Request, pod: Object, container: str) -> Response:
        """Run a command in a container."""
        asked = {"container_id": _running(pod, container), "cmd": request.query_lists.get("command", [])}
        return await self._stream(request, await _url(self._view.runtime.exec(asked | _flags(request))))

    async def attach(self, request: Request, pod: Object, container: str) -> Response:
        """Join a container's main process."""
        flags = _flags(request)
        # Whether a process has a terminal was settled when it started.
        flags["tty"] = has_terminal(pod, container)
        flags["stderr"] &= not flags["tty"]
        asked = {"container_id": _running(pod, container), **flags}
        return await self._stream(request, await _url(self._view.runtime.attach(asked)))

    async def port_forward(self, request: Request, pod: Object) -> Response:
        """Forward connections to a pod's ports."""
        ports = [part for value in request.query_lists.get("port", ()) for part in value.split(",")]
        if not all(part.isdecimal() and 0 < int(part) < 65536 for part in ports):
            raise Refused(400, f"invalid port in {','.join(ports)}")
        sandbox = await self._sandbox(pod)
        url = self._view.runtime.port_forward(sandbox, [int(part) for part in ports])
        return await self._stream(request, await _url(url))

    async def run(self, request: Request, pod: Object, container: str) -> Response:
        """Run a command to its end; the answer is what it printed."""
        command = request.query.get("cmd", "").split()
        try:
            result = await self._view.runtime.exec_sync(_running(pod, container), command, 0)
        except CriError as error:
            raise Refused(500, str(error)) from error
        return text((result.stdout + result.stderr).decode(errors="replace"))

    async def _sandbox(self, pod: Object) -> str:
        found = await self._view.runtime.list_sandboxes({_POD_UID: pod["metadata"]["uid"]})
        ready = [one for one in found if one["state"] == SandboxState.READY]
        if not ready:
            raise Refused(500, f'pod not found ("{pod["metadata"]["name"]}_{pod["metadata"]["namespace"]}")')
        return str(max(ready, key=lambda one: one["created_at"])["id"])

    async def _stream(self, request: Request, url: str) -> Response:
        parts = urlsplit(url)
        address = Address(parts.hostname or "127.0.0.1", parts.port or 80)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = [
            (name, one)
            for name, value in request.headers.items()
            if name in _UPGRADE or name.startswith(_UPGRADE_PREFIXES)
            for one in request.repeated.get(name, (value,))
        ]
        try:
            answer = await http_client.send(address, Outgoing(request.method, target, headers), self._connect)
        except ConnectionError as error:
            raise Refused(502, f"the container runtime's streaming server: {error}") from error
        if answer.status != 101:
            body = await answer.read(_REFUSAL)
            return Response(answer.status, body, answer.header("content-type") or "text/plain; charset=utf-8")

        async def carry(stream: RawStream) -> None:
            await join(stream, answer.connection)

        response = Response(101, b"", "", upgrade=carry)
        response.repeated += answer.headers
        return response


async def _url(asked: Awaitable[str]) -> str:
    try:
        return await asked
    except CriError as error:
        raise Refused(500, str(error)) from error


def _running(pod: Object, container: str) -> str:
    try:
        return running_id(pod, container)
    except NoContainer as error:
        raise Refused(500, str(error)) from error


def _flags(request: Request) -> dict[str, bool]:
    """What of stdin, stdout, stderr and tty is asked for. A terminal has no standard error of its own."""
    wanted = {name: request.query.get(key) == "1" for name, key in _PARAMETERS.items()}
    wanted["stderr"] &= not wanted["tty"]
    if not (wanted["stdin"] or wanted["stdout"] or wanted["stderr"]):
        raise Refused(400, "you must specify at least 1 of stdin, stdout, stderr")
    return wanted


_PARAMETERS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
