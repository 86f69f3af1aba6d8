"""Asks a container's gRPC health service. https://grpc.io/docs/guides/health-checking/."""

from __future__ import annotations

from typing import Any

from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError, StreamTerminatedError

from knarr.component_base.http_client import dial_fault
from knarr.wire.messages import Codec

_CODEC = Codec("HealthCheckRequest: service=1=s\nHealthCheckResponse: status=1=i")
_STATES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_PATH = "/grpc.health.v1.Health/Check"


class _Raw(CodecBase):
    """The library's codec slot: bytes as they are."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:
        return data


async def check(host: str, port: int, service: str, timeout: float) -> tuple[bool, str]:
    """Whether the service says SERVING, and what is to be told if not."""
    channel = Channel(host, port, codec=_Raw())
    method: UnaryUnaryMethod[bytes, bytes] = UnaryUnaryMethod(channel, _PATH, bytes, bytes)
    try:
        data = await method(_CODEC.encode("HealthCheckRequest", {"service": service}), timeout=timeout)
    except TimeoutError:
        return (
            False,
            f'timeout: failed to connect service "{host}:{port}" within {int(timeout)}s: context deadline exceeded',
        )
    except GRPCError as error:
        if error.status is Status.UNIMPLEMENTED:
            text = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
            return False, f"{text}: {error.message}"
        return False, f"error: health rpc probe failed: rpc error: code = {error.status.name} desc = {error.message}"
    except OSError as error:
        return (
            False,
            f'error: failed to connect service at "{host}:{port}": dial tcp {host}:{port}: {dial_fault(error)}',
        )
    except StreamTerminatedError as error:
        return False, f'error: failed to connect service at "{host}:{port}": {error}'
    finally:
        channel.close()
    state = int(_CODEC.decode("HealthCheckResponse", data)["status"])
    if state == _STATES.index("SERVING"):
        return True, "service healthy"
    name = _STATES[state] if state < len(_STATES) else str(state)
    return False, f'service unhealthy (responded with "{name}")'
