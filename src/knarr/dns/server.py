"""The DNS server of one node: UDP and TCP on the DNS Service's address."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import dns.message
import dns.rcode

from knarr.component_base import logs
from knarr.component_base.tasks import Tasks
from knarr.dns import messages
from knarr.dns.forward import Forwarder
from knarr.dns.records import Reply, Zone, answer
from knarr.dns.view import View

_log = logs.get("dns")

#: Seconds an answer of ours may be kept by clients.
TTL = 5
#: Answers kept ready for queries that come again byte for byte.
_CACHED = 4096
#: Questions under way at resolvers at a time; more are refused.
_UNDER_WAY = 512
#: Seconds a TCP connection may stay silent.
_IDLE = 10.0


class Resolver:
    """Turns query bytes into response bytes."""

    def __init__(self, view: View, zone: Zone, forwarder: Forwarder, ready: Callable[[], bool]) -> None:
        self._view = view
        self._zone = zone
        self._forwarder = forwarder
        self._ready = ready
        self._cache: dict[tuple[bytes, bool], bytes] = {}
        self._generation = -1
        self._under_way = 0

    def quick(self, wire: bytes, *, udp: bool) -> bytes | None:
        """The answer to a query asked before, if nothing changed since."""
        if self._generation != self._view.generation:
            self._cache.clear()
            self._generation = self._view.generation
            return None
        tail = self._cache.get((wire[2:], udp))
        return wire[:2] + tail if tail else None

    async def resolve(self, wire: bytes, *, udp: bool) -> bytes | None:
        """The response to a query; `None` for bytes that deserve none."""
        message = messages.parse(wire)
        if message is None:
            return None
        if message.opcode() != 0:
            return messages.encode(messages.fail(message, dns.rcode.NOTIMP), message, udp=udp)
        name, kind = messages.question(message)
        reply = answer(name, kind, self._view, self._zone)
        if reply is None:
            return await self._forward(message, wire, udp=udp)
        if not self._ready():
            # Saying that a name does not exist before we know them all would be believed.
            return messages.encode(messages.fail(message), message, udp=udp)
        response = messages.respond(message, reply, self._zone, TTL)
        if reply.alias:
            await self._follow(response, reply, kind)
            return messages.encode(response, message, udp=udp)
        out = messages.encode(response, message, udp=udp)
        if len(self._cache) < _CACHED:
            self._cache[(wire[2:], udp)] = out[2:]
        return out

    async def _forward(self, message: dns.message.Message, wire: bytes, *, udp: bool) -> bytes:
        found = await self._ask(wire, udp=udp)
        return found or messages.encode(messages.fail(message), message, udp=udp)

    async def _follow(self, response: dns.message.Message, reply: Reply, kind: str) -> None:
        found = await self._ask(messages.query(reply.alias, kind), udp=True)
        if found:
            messages.append(response, found)

    async def _ask(self, wire: bytes, *, udp: bool) -> bytes | None:
        if self._under_way >= _UNDER_WAY:
            return None
        self._under_way += 1
        try:
            return await self._forwarder.ask(wire, udp=udp)
        finally:
            self._under_way -= 1


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, resolver: Resolver, tasks: Tasks) -> None:
        self._resolver = resolver
        self._tasks = tasks
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        ready = self._resolver.quick(data, udp=True)
        if ready is not None:
            self._transport.sendto(ready, addr)
        else:
            self._tasks.start(self._answer(data, addr), "dns-query")

    async def _answer(self, data: bytes, addr: Any) -> None:
        found = await self._resolver.resolve(data, udp=True)
        if found is not None and not self._transport.is_closing():
            self._transport.sendto(found, addr)


async def serve(resolver: Resolver, tasks: Tasks, addresses: Sequence[str], port: int) -> Callable[[], None]:
    """Listen on every address, UDP and TCP. Returns what closes the sockets. Raises `OSError` if one is taken."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as opened:
        for address in addresses:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(resolver, tasks), local_addr=(address, port)
            )
            opened.callback(transport.close)
            server = await asyncio.start_server(_connection(resolver, tasks), address, port)
            opened.callback(server.close)
        _log.info("serving", addresses=",".join(addresses), port=port)
        return opened.pop_all().close


def _connection(resolver: Resolver, tasks: Tasks) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.start(_converse(resolver, reader, writer), "dns-connection")

    return accept


async def _converse(resolver: Resolver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One TCP connection: queries one after the other."""
    try:
        while True:
            async with asyncio.timeout(_IDLE):
                size = int.from_bytes(await reader.readexactly(2), "big")
                wire = await reader.readexactly(size)
            found = resolver.quick(wire, udp=False) or await resolver.resolve(wire, udp=False)
            if found is None:
                return
            writer.write(len(found).to_bytes(2, "big") + found)
            await writer.drain()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()
