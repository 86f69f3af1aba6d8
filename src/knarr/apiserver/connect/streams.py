"""`pods/exec`, `pods/attach`, `pods/portforward`: interactive streams between a client and a pod's kubelet.

A SPDY client, and a WebSocket client of the older subprotocols, get a tunnel to the kubelet byte by byte. WebSockets
of `v5.channel.k8s.io` are translated to SPDY here, and those that carry SPDY for port forwarding are unwrapped, as
kubelets know neither.
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.apimachinery.errors import bad_request
from knarr.apiserver.attributes import Reader
from knarr.apiserver.connect import lookup, options, translate, unwrap, upgrade
from knarr.apiserver.connect.kubelets import Kubelets, target
from knarr.apiserver.connect.options import ExecOptions, Pairs
from knarr.apiserver.request import RawStream, Request, RequestInfo, Response
from knarr.component_base.http_client import Address, Incoming, Outgoing
from knarr.wire import channels, websocket

_SPDY = "SPDY/3.1"


class Exec:
    """Answers `pods/exec` and, with `attach`, `pods/attach`."""

    def __init__(self, reader: Reader, kubelets: Kubelets, *, attach: bool = False) -> None:
        self._reader = reader
        self._kubelets = kubelets
        self._attach = attach

    async def __call__(self, request: Request) -> Response:
        """The upgraded connection. Raises `StatusError`."""
        info = request.info or RequestInfo("", "")
        wanted = options.exec_options(request.query, request.query_lists, attach=self._attach)
        pod = lookup.pod(self._reader, info.namespace, info.name)
        container = lookup.container(pod, wanted.container)
        address = _kubelet_of(self._reader, self._kubelets, pod)
        verb = "attach" if self._attach else "exec"
        path = target((verb, info.namespace, info.name, container), wanted.pairs())
        if websocket.is_upgrade(request.headers) and channels.V5 in websocket.offered(request.headers):
            return self._translated(request, wanted, address, path)
        return await upgrade.tunnel(request, self._kubelets, address, path)

    def _translated(self, request: Request, wanted: ExecOptions, address: Address, path: str) -> Response:
        headers = accepted(request, channels.V5)

        async def run(stream: RawStream) -> None:
            await translate.run(stream, wanted, lambda: self._open(address, path))

        return Response(101, b"", "", headers, upgrade=run)

    async def _open(self, address: Address, path: str) -> Incoming:
        return await self._kubelets.send(address, spdy_request(path, translate.STREAM_PROTOCOLS))


class PortForward:
    """Answers `pods/portforward`."""

    def __init__(self, reader: Reader, kubelets: Kubelets) -> None:
        self._reader = reader
        self._kubelets = kubelets

    async def __call__(self, request: Request) -> Response:
        """The upgraded connection. Raises `StatusError`."""
        info = request.info or RequestInfo("", "")
        ports: Pairs = options.ports(request.query_lists)
        pod = lookup.pod(self._reader, info.namespace, info.name)
        address = _kubelet_of(self._reader, self._kubelets, pod)
        path = target(("portForward", info.namespace, info.name), ports)
        offered = websocket.offered(request.headers)
        tunnelled = next((name for name in offered if name.startswith(channels.TUNNEL_PREFIX)), "")
        if websocket.is_upgrade(request.headers) and tunnelled:
            return await self._unwrapped(request, tunnelled, address, path)
        return await upgrade.tunnel(request, self._kubelets, address, path)

    async def _unwrapped(self, request: Request, protocol: str, address: Address, path: str) -> Response:
        headers = accepted(request, protocol)
        inner = protocol.removeprefix(channels.TUNNEL_PREFIX)
        answer = await self._kubelets.send(address, spdy_request(path, (inner,)))
        if answer.status != 101:
            return await upgrade.refusal(answer)

        async def run(stream: RawStream) -> None:
            await unwrap.run(stream, answer.connection)

        return Response(101, b"", "", headers, upgrade=run)


def spdy_request(path: str, protocols: Sequence[str]) -> Outgoing:
    """The request that asks a kubelet for a SPDY connection."""
    headers = [("Connection", "Upgrade"), ("Upgrade", _SPDY)]
    headers += [("X-Stream-Protocol-Version", protocol) for protocol in protocols]
    return Outgoing("POST", path, headers)


def accepted(request: Request, protocol: str) -> dict[str, str]:
    """The headers that accept a WebSocket. Raises `StatusError` 400."""
    try:
        return websocket.accept(request.headers, protocol)
    except websocket.HandshakeError as error:
        raise bad_request(str(error)) from error


def _kubelet_of(reader: Reader, kubelets: Kubelets, pod: dict[str, object]) -> Address:
    node = lookup.node_of(pod)
    if not node:
        raise lookup.no_host(pod)
    return kubelets.address(lookup.kubelet(reader, node))
