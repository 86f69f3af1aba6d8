"""Large answers are compressed for clients that take it, in a thread, so that other requests go on.

Source of the rule: k8s.io/apiserver/pkg/endpoints/handlers/responsewriters (SerializeObject): 128 KiB, level 1.
"""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from msgspec.structs import replace

from knarr.component_base.http import Pieces, Request, Response

#: Bytes from which it is worth it.
LEAST = 128 * 1024
#: What is compressed: objects and documents, no logs and metrics.
_PREFIX = "application/"
_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 1


def wanted(request: Request, response: Response) -> bool:
    """Whether this answer goes out compressed."""
    body = response.body
    if not isinstance(body, bytes | Pieces) or len(body) < LEAST:
        return False
    if not response.content_type.startswith(_PREFIX) or "Content-Encoding" in response.headers:
        return False
    return any(part.strip() == "gzip" for part in request.headers.get("accept-encoding", "").split(","))


async def compress(response: Response) -> Response:
    """The answer, compressed."""
    body = response.body
    assert isinstance(body, bytes | Pieces)
    packed = await asyncio.get_running_loop().run_in_executor(_thread(), _pack, body)
    headers = {**response.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return replace(response, body=packed, headers=headers)


def _pack(body: bytes | Pieces) -> bytes:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    parts = (body,) if isinstance(body, bytes) else body.batches(LEAST)
    return b"".join([*map(packer.compress, parts), packer.flush()])


@cache
def _thread() -> ThreadPoolExecutor:
    """One thread: compressing never takes more than one processor."""
    return ThreadPoolExecutor(1, "gzip")
