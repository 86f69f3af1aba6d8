"""The transport without a socket: the API server's own pipeline, called as one trusted identity."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode

from knarr.client.failure import failure
from knarr.client.lines import Lines
from knarr.client.transport import Answer
from knarr.component_base.http import Pieces, Request, Response, UserInfo
from knarr.component_base.http_server import Handler


class LocalTransport:
    """Calls `handler` as `user`: authorization and everything after it are those of a request over the network.

    `agent` is the User-Agent, after which managed fields are named.
    """

    def __init__(self, handler: Handler, user: UserInfo, agent: str = "knarr") -> None:
        self._handler = handler
        self._user = user
        self._agent = agent
        self._closed = False

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Answer:
        """Send one request. Raises `ConnectionError` after `close`."""
        response = await self._call(method, path, query, body, content_type)
        headers = {name.lower(): value for name, value in response.headers.items()}
        headers.setdefault("content-type", response.content_type)
        return Answer(response.status, headers, await _whole(response))

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The lines of a watch. Raises `StatusError` for an answer other than 200."""
        response = await self._call("GET", path, query)
        if response.status != 200:
            raise failure(response.status, await _whole(response))
        lines = Lines()
        chunks = _chunks(response)
        try:
            async for chunk in chunks:
                for line in lines.feed(chunk):
                    yield line
        finally:
            await _close(chunks)

    async def close(self) -> None:
        """Refuse further requests. Watches end where they are read."""
        self._closed = True

    async def _call(
        self, method: str, path: str, query: Mapping[str, str], body: bytes = b"", content_type: str = ""
    ) -> Response:
        if self._closed:
            raise ConnectionError("the client is closed")
        headers = {"accept": "application/json", "user-agent": self._agent}
        if body:
            headers["content-type"] = content_type
        request = Request(
            method=method,
            path=path,
            query=dict(query),
            headers=headers,
            body=body,
            raw_query=urlencode(query),
            query_lists={name: [value] for name, value in query.items()},
            trusted=self._user,
        )
        response = await self._handler(request)
        if response.upgrade is not None:
            raise ValueError(f"{path} upgrades its connection, which needs one: use HTTP")
        return response


def _chunks(response: Response) -> AsyncIterator[bytes]:
    body = response.body
    return _once(bytes(body)) if isinstance(body, bytes | Pieces) else body


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _whole(response: Response) -> bytes:
    body = response.body
    if isinstance(body, bytes | Pieces):
        return bytes(body)
    try:
        return b"".join([chunk async for chunk in body])
    finally:
        await _close(body)


async def _close(chunks: AsyncIterator[bytes]) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
