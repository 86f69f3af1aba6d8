"""`pods/log`: a container's log from its kubelet, as it is written."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

from knarr.apimachinery.errors import StatusError, bad_request, internal
from knarr.apiserver.attributes import Reader
from knarr.apiserver.connect import lookup, options
from knarr.apiserver.connect.kubelets import Kubelets, target
from knarr.apiserver.request import RawStream, Request, RequestInfo, Response
from knarr.component_base.http_client import Incoming, Outgoing
from knarr.wire import channels, websocket

#: Bytes of a kubelet's complaint that are passed on.
_COMPLAINT = 10_000
_TEXT = "text/plain"


class Logs:
    """Answers `pods/log`."""

    def __init__(self, reader: Reader, kubelets: Kubelets) -> None:
        self._reader = reader
        self._kubelets = kubelets

    async def __call__(self, request: Request) -> Response:
        """The log as a stream. Raises `StatusError`."""
        info = request.info or RequestInfo("", "")
        wanted = options.log_options(request.query, info.name)
        pod = lookup.pod(self._reader, info.namespace, info.name)
        container = lookup.container(pod, wanted.container)
        node = lookup.node_of(pod)
        if not node:
            return Response(204, b"", "")
        address = self._kubelets.address(lookup.kubelet(self._reader, node), verify=not wanted.insecure)
        path = target(("containerLogs", info.namespace, info.name, container), wanted.pairs())
        answer = await self._kubelets.send(address, Outgoing("GET", path))
        if not 200 <= answer.status <= 206:
            raise await complaint(answer, info.name)
        if websocket.is_upgrade(request.headers):
            return _over_websocket(request, answer)
        return Response(200, answer, _TEXT, patient=True)


async def complaint(answer: Incoming, pod_name: str) -> StatusError:
    """The error that a kubelet's refusal stands for."""
    text = (await answer.read(_COMPLAINT)).decode(errors="replace")
    if answer.status == 500:
        return internal(text)
    if answer.status == 400:
        return bad_request(text)
    reason, message = _GENERIC.get(answer.status, ("", f"the server responded with the status code {answer.status}"))
    if answer.status not in _GENERIC:
        message += " but did not return more information"
    details = {"name": pod_name, "kind": "pods/log"}
    return StatusError(answer.status, reason, f"{message} ( pods/log {pod_name})", details)


_GENERIC = {
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    403: ("Forbidden", "the server does not allow access to the requested resource"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "the server was unable to return a response in the time allotted, but may still be processing"),
}


def _over_websocket(request: Request, answer: Incoming) -> Response:
    """The log as messages of a WebSocket."""
    protocol = websocket.choose(websocket.offered(request.headers), channels.LOG_PROTOCOLS)
    try:
        headers = websocket.accept(request.headers, protocol or "")
    except websocket.HandshakeError as error:
        raise bad_request(str(error)) from error
    text = channels.is_base64(protocol or "")

    async def send(stream: RawStream) -> None:
        try:
            await _messages(stream, answer, text=text)
        finally:
            await answer.aclose()

    return Response(101, b"", "", headers, upgrade=send)


async def _messages(stream: RawStream, chunks: AsyncIterator[bytes], *, text: bool) -> None:
    socket = websocket.WebSocket(client=False)
    async for chunk in chunks:
        socket.send(base64.b64encode(chunk) if text else chunk, text=text)
        stream.write(socket.take())
        await stream.drain()
    socket.close()
    stream.write(socket.take())
