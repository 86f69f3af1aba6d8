"""gRPC with messages that are encoded elsewhere: the slot that `grpclib` has for a codec, passing bytes on."""

from __future__ import annotations

from typing import Any

from grpclib.encoding.base import CodecBase


class BytesCodec(CodecBase):
    """Bytes in, bytes out."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        """The message as it is."""
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:
        """The message as it is."""
        return data
