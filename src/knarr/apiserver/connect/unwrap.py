"""A SPDY connection that travels in the binary messages of a WebSocket, unwrapped towards the kubelet (KEP-4006)."""

from __future__ import annotations

from knarr.component_base.http import RawStream
from knarr.component_base.tunnel import until_one_ends
from knarr.wire.websocket import INTERNAL_ERROR, UNSUPPORTED_DATA, Closed, ProtocolError, WebSocket


async def run(client: RawStream, kubelet: RawStream) -> None:
    """Carry messages' payloads and plain bytes both ways until one side ends; closes both."""
    socket = WebSocket(client=False)
    try:
        await until_one_ends(_unwrap(client, socket, kubelet), _wrap(kubelet, socket, client))
    finally:
        kubelet.close()
        socket.close()
        client.write(socket.take())
        client.close()


async def _unwrap(client: RawStream, socket: WebSocket, kubelet: RawStream) -> None:
    try:
        while data := await client.read():
            for event in socket.receive(data):
                if isinstance(event, Closed):
                    return
                if event.text:
                    socket.close(UNSUPPORTED_DATA, "only binary messages are accepted")
                    return
                kubelet.write(event.payload)
            client.write(socket.take())
            await kubelet.drain()
    except ProtocolError:
        return  # the reason goes out with the closing frame
    except ConnectionError:
        socket.close(INTERNAL_ERROR, "connection to the kubelet lost")


async def _wrap(kubelet: RawStream, socket: WebSocket, client: RawStream) -> None:
    try:
        while data := await kubelet.read():
            socket.send(data)
            client.write(socket.take())
            await client.drain()
    except ConnectionError:
        return
