"""Requests for group-versions of other API servers, carried there and the answers back; upgrades and watches too.

Source: k8s.io/kube-aggregator/pkg/apiserver (handler_proxy.go).
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.apimachinery.errors import StatusError
from knarr.apiserver import responses
from knarr.apiserver.aggregation import backends
from knarr.apiserver.aggregation.backends import Backends
from knarr.apiserver.aggregation.routes import Route
from knarr.apiserver.connect import upgrade
from knarr.apiserver.request import Request, Response
from knarr.component_base.http import RawStream
from knarr.component_base.http_client import Address, Incoming, Outgoing
from knarr.component_base.tunnel import join

_BODILESS = frozenset({204, 304})
#: Bytes of a refused upgrade that are passed on.
_REFUSAL = 64 * 1024


class Proxy:
    """Answers requests by asking others."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def answer(self, request: Request, route: Route, target: str) -> Response:
        """The other server's answer for `target`, the escaped path with its query; 503 when it cannot be reached."""
        if request.user is None:
            raise LookupError("who asks is known before a request goes anywhere")
        if not route.available:
            return unavailable()
        try:
            address = self._backends.address(route)
        except StatusError:
            return unavailable()
        except ValueError as error:
            return responses.text(f"{error}\n", 500, _NO_SNIFF)
        headers = [*upgrade.forwarded_headers(request), *backends.identity(request.user), *_forwarding(request)]
        try:
            if upgrade.is_wanted(request):
                return await self._upgraded(request, address, target, headers)
            return await self._carried(request, address, target, headers)
        except ConnectionError as error:
            return responses.text(f"error trying to reach service: {error}\n", 503, dict(_NO_SNIFF))

    async def _carried(self, request: Request, address: Address, target: str, headers: backends.Headers) -> Response:
        body = request.body if request.stream is None else request.stream
        length = request.headers.get("content-length", "")
        size = int(length) if length.isdecimal() else None
        answer = await self._backends.send(address, Outgoing(request.method, target, headers, body, size))
        return await _passed(request, answer)

    async def _upgraded(self, request: Request, address: Address, target: str, headers: backends.Headers) -> Response:
        more = (("Connection", "Upgrade"), ("Upgrade", request.headers["upgrade"]))
        answer = await self._backends.send(address, Outgoing(request.method, target, (*headers, *more), request.body))
        if answer.status != 101:
            return await _passed(request, answer)

        async def run(stream: RawStream) -> None:
            await join(stream, answer.connection)

        response = Response(101, b"", "", upgrade=run)
        response.repeated += answer.headers
        return response


_NO_SNIFF = {"X-Content-Type-Options": "nosniff"}


def unavailable() -> Response:
    """The answer where nobody is known to serve."""
    return responses.text("service unavailable\n", 503, dict(_NO_SNIFF))


def _forwarding(request: Request) -> Iterable[tuple[str, str]]:
    if request.remote:
        before = request.headers.get("x-forwarded-for", "")
        yield "X-Forwarded-For", f"{before}, {request.remote}" if before else request.remote


async def _passed(request: Request, answer: Incoming) -> Response:
    """An answer as it came, without what is of the connection alone."""
    response = Response(answer.status, b"", "", patient=True)
    for name, value in answer.headers:
        lower = name.lower()
        if lower == "content-length":
            response.headers["Content-Length"] = value
        elif lower not in upgrade.HOP_BY_HOP:
            response.repeated.append((name, value))
    if request.method == "HEAD" or answer.status in _BODILESS:
        await answer.aclose()
    else:
        response.body = answer
    return response
