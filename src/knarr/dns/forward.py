"""Asks the node's own resolvers about names that are not the cluster's."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from typing import NamedTuple

#: Seconds one resolver has for its answer.
_PATIENCE = 2.0
#: Seconds during which a resolver that failed is asked last.
_GRUDGE = 10.0
_LONGEST = 65535


class Upstream(NamedTuple):
    """A resolver's address and port."""

    host: str
    port: int = 53


def resolvers(text: str, own: Iterable[str]) -> tuple[Upstream, ...]:
    """The name servers of a resolv.conf, without our own addresses: a question must never come back to us."""
    mine = set(own)
    found: dict[Upstream, None] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and words[1] not in mine:
            found[Upstream(words[1])] = None
    return tuple(found)


class Forwarder:
    """Sends queries on as they are, to one resolver after the other."""

    def __init__(self, upstreams: Sequence[Upstream], patience: float = _PATIENCE) -> None:
        self._upstreams = tuple(upstreams)
        self._patience = patience
        self._failed: dict[Upstream, float] = {}

    async def ask(self, wire: bytes, *, udp: bool) -> bytes | None:
        """The answer of the first resolver that gives one, with the query's id; `None` if none does."""
        number = secrets.token_bytes(2)
        sent = number + wire[2:]
        loop = asyncio.get_running_loop()
        for upstream in sorted(self._upstreams, key=lambda one: self._failed.get(one, 0.0) > loop.time() - _GRUDGE):
            try:
                async with asyncio.timeout(self._patience):
                    answer = await (_ask_udp(upstream, sent) if udp else _ask_tcp(upstream, sent))
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                self._failed[upstream] = loop.time()
                continue
            self._failed.pop(upstream, None)
            return wire[:2] + answer[2:]
        return None


class _Waiting(asyncio.DatagramProtocol):
    """Waits for the datagram that answers one query."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.answer.done() and _answers(data, self._sent):
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc or ConnectionError("closed"))


def _answers(data: bytes, sent: bytes) -> bool:
    """Same id, a response, and the same question (names are echoed byte for byte)."""
    if len(data) < 12 or data[:2] != sent[:2] or not data[2] & 0x80:
        return False
    end = sent.find(b"\0", 12) + 5
    return data[4:6] != b"\0\1" or data[12:end].lower() == sent[12:end].lower()


async def _ask_udp(upstream: Upstream, sent: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, waiting = await loop.create_datagram_endpoint(
        lambda: _Waiting(sent), remote_addr=(upstream.host, upstream.port)
    )
    try:
        transport.sendto(sent)
        return await waiting.answer
    finally:
        # An answer that nobody waits for any more must not be reported as an error never looked at.
        waiting.answer.cancel()
        transport.close()


async def _ask_tcp(upstream: Upstream, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(upstream.host, upstream.port)
    try:
        writer.write(len(sent).to_bytes(2, "big") + sent)
        size = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(min(size, _LONGEST))
    finally:
        writer.close()
