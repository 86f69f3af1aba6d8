"""One gRPC connection to a unix socket, carrying the dict messages of `messages.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from grpclib.client import Channel, StreamStreamMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from knarr.component_base.grpc_bytes import BytesCodec
from knarr.cri.messages import CODEC
from knarr.cri.runtime import DEADLINE, UNAVAILABLE, CriError
from knarr.wire.messages import Message

_CODES = {status: "".join(part.capitalize() for part in status.name.split("_")) for status in Status}


class Connection:
    """Calls by path, request message and response message."""

    def __init__(self, socket: str, metadata: Mapping[str, str] | None = None) -> None:
        self._channel = Channel(path=socket, codec=BytesCodec())
        self._metadata = dict(metadata or {})

    async def call(
        self,
        path: str,
        request: str,
        message: Message,
        response: str,
        *,
        timeout: float | None = 120,
        metadata: Mapping[str, str] | None = None,
    ) -> Message:
        """One request, one answer. Raises `CriError`; `Unavailable` when the connection breaks."""
        method: UnaryUnaryMethod[bytes, bytes] = UnaryUnaryMethod(self._channel, path, bytes, bytes)
        try:
            data = await method(
                CODEC.encode(request, message), timeout=timeout, metadata={**self._metadata, **(metadata or {})}
            )
        except GRPCError as error:
            raise CriError(_CODES[error.status], error.message or "") from error
        except TimeoutError as error:
            raise CriError(DEADLINE, "context deadline exceeded") from error
        except (OSError, StreamTerminatedError) as error:
            raise CriError(UNAVAILABLE, f"connection error: {error}") from error
        return CODEC.decode(response, data or b"")

    async def stream(self, path: str, request: str, message: Message, response: str) -> AsyncIterator[Message]:
        """One request, many answers. Raises `CriError`."""
        method: UnaryStreamMethod[bytes, bytes] = UnaryStreamMethod(self._channel, path, bytes, bytes)
        try:
            async with method.open(metadata=self._metadata) as stream:
                await stream.send_message(CODEC.encode(request, message), end=True)
                async for data in stream:
                    yield CODEC.decode(response, data)
        except GRPCError as error:
            raise CriError(_CODES[error.status], error.message or "") from error
        except (OSError, StreamTerminatedError) as error:
            raise CriError(UNAVAILABLE, f"connection error: {error}") from error

    async def send_all(
        self,
        path: str,
        request: str,
        messages: AsyncIterator[Message],
        response: str,
        metadata: Mapping[str, str] | None = None,
    ) -> Message:
        """Many requests, each answered; gives the last answer. Raises `CriError`.

        The last request closes our half of the stream at once: a server that ends the stream while our half is open
        resets it, which the library takes for a broken stream.
        """
        method: StreamStreamMethod[bytes, bytes] = StreamStreamMethod(self._channel, path, bytes, bytes)
        answer: bytes | None = b""
        try:
            async with method.open(metadata={**self._metadata, **(metadata or {})}) as stream:
                async for message, last in _with_last(messages):
                    await stream.send_message(CODEC.encode(request, message), end=last)
                    answer = await stream.recv_message()
                await stream.recv_trailing_metadata()
        except GRPCError as error:
            raise CriError(_CODES[error.status], error.message or "") from error
        except (OSError, StreamTerminatedError) as error:
            raise CriError(UNAVAILABLE, f"connection error: {error}") from error
        return CODEC.decode(response, answer or b"")

    async def close(self) -> None:
        """Close the connection."""
        self._channel.close()
        await asyncio.sleep(0)


async def _with_last(messages: AsyncIterator[Message]) -> AsyncIterator[tuple[Message, bool]]:
    held: Message | None = None
    async for message in messages:
        if held is not None:
            yield held, False
        held = message
    if held is not None:
        yield held, True
