"""Calls to a KMS v2 plugin at its unix socket."""

from __future__ import annotations

from typing import Any

from knarr.storage.encryption.kms_messages import CODEC
from knarr.storage.encryption.provider import TransformError
from knarr.wire.messages import CodecError, Message

_SERVICE = "/v2.KeyManagementService/"


class KmsClient:
    """One connection, made with the first call and made again when it breaks."""

    def __init__(self, name: str, endpoint: str, timeout: float) -> None:
        self._name = name
        self._path = endpoint.removeprefix("unix://")
        self._timeout = timeout
        self._channel: Any = None

    async def call(self, method: str, request: str, message: Message, response: str) -> Message:
        """One request, one answer. Raises `TransformError`."""
        from grpclib.client import UnaryUnaryMethod
        from grpclib.exceptions import GRPCError, StreamTerminatedError

        call: UnaryUnaryMethod[bytes, bytes] = UnaryUnaryMethod(self._open(), _SERVICE + method, bytes, bytes)
        try:
            data = await call(CODEC.encode(request, message), timeout=self._timeout)
            return CODEC.decode(response, data or b"")
        except GRPCError as error:
            raise self._failed(method, f"{error.status.name}: {error.message}") from error
        except TimeoutError as error:
            raise self._failed(method, "context deadline exceeded") from error
        except (OSError, StreamTerminatedError, CodecError) as error:
            raise self._failed(method, str(error)) from error

    def _failed(self, method: str, why: str) -> TransformError:
        return TransformError(f"kms-provider-{self._name}: {method}: {why}")

    def _open(self) -> Any:
        if self._channel is None:
            from grpclib.client import Channel

            from knarr.component_base.grpc_bytes import BytesCodec

            self._channel = Channel(path=self._path, codec=BytesCodec())
        return self._channel

    def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
