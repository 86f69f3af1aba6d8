"""Webhooks and identity providers of a test, over plain HTTP on loopback."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson

from knarr.component_base.http import Request, Response
from knarr.component_base.http_server import HttpServer

Answer = Callable[[Request], Awaitable[Any]]


@asynccontextmanager
async def outsider(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address of a server that answers with what `answer` gives: JSON, or a whole `Response`."""

    async def handle(request: Request) -> Response:
        found = await answer(request)
        return found if isinstance(found, Response) else Response(200, orjson.dumps(found), "application/json")

    server = HttpServer(handle, tls)
    port = await server.listen("127.0.0.1", 0)
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
    finally:
        await server.close()
