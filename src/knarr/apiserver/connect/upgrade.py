"""Upgraded connections carried through: the client's request goes to the other side, then bytes go both ways."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.apimachinery.errors import StatusError, bad_request
from knarr.apiserver.connect.kubelets import Kubelets
from knarr.apiserver.request import RawStream, Request, Response
from knarr.component_base import http_client
from knarr.component_base.http_client import Address, Connect, Incoming, Outgoing
from knarr.component_base.tunnel import join

#: Headers of one connection alone (RFC 9110, 7.6.1).
HOP_BY_HOP = frozenset(
    {
        "connection",
        "proxy-connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
#: What the API server itself was told, and nobody behind it may see.
_CREDENTIALS = ("authorization", "impersonate-", "x-remote-")
_LENGTHS = frozenset({"content-length", "host", "expect"})
#: Bytes of a refusal that are passed on.
_REFUSAL = 64 * 1024


def is_wanted(request: Request) -> bool:
    """Whether a request asks for another protocol."""
    tokens = {part.strip().lower() for part in request.headers.get("connection", "").split(",")}
    return "upgrade" in tokens and bool(request.headers.get("upgrade"))


async def tunnel(request: Request, kubelets: Kubelets, address: Address, target: str) -> Response:
    """An upgraded connection to a kubelet. Raises `StatusError` 400 for a request that asks for no upgrade."""
    if not is_wanted(request):
        raise bad_request("Upgrade request required")
    return await through(request, address, target, kubelets.connect)


async def through(request: Request, address: Address, target: str, connect: Connect = http_client.connect) -> Response:
    """Pass an upgrade request on; an answer that refuses goes back as it is. Raises `StatusError` 500."""
    headers = [*forwarded_headers(request), ("Connection", "Upgrade"), ("Upgrade", request.headers["upgrade"])]
    try:
        answer = await http_client.send(address, Outgoing(request.method, target, headers, request.body), connect)
    except ConnectionError as error:
        raise StatusError(500, "", f"error dialing backend: {error}") from error
    if answer.status != 101:
        return await refusal(answer)

    async def run(stream: RawStream) -> None:
        await join(stream, answer.connection)

    response = Response(101, b"", "", upgrade=run)
    response.repeated += answer.headers
    return response


async def refusal(answer: Incoming) -> Response:
    """The answer of a backend that did not upgrade. Raises `StatusError` 500 for one that makes no sense."""
    body = await answer.read(_REFUSAL)
    if answer.status < 400:
        raise StatusError(500, "", f"invalid upgrade response: status code {answer.status}")
    return Response(answer.status, body, answer.header("content-type"))


def forwarded_headers(request: Request) -> Iterator[tuple[str, str]]:
    """A request's headers as they go on: without those of the connection and the client's credentials."""
    dropped = HOP_BY_HOP | {part.strip().lower() for part in request.headers.get("connection", "").split(",")}
    for name, value in request.headers.items():
        if name in dropped or name in _LENGTHS or name.startswith(_CREDENTIALS):
            continue
        for one in request.repeated.get(name, (value,)):
            yield name, one
