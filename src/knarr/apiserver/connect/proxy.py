"""`pods/proxy`, `services/proxy`, `nodes/proxy`: any request, carried to a backend and its answer back."""

from __future__ import annotations

import random
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

from knarr.apimachinery.errors import service_unavailable
from knarr.apiserver.attributes import Reader
from knarr.apiserver.connect import proxy_targets, upgrade
from knarr.apiserver.connect.kubelets import Kubelets
from knarr.apiserver.connect.lookup import KubeletAddress
from knarr.apiserver.connect.proxy_targets import Target
from knarr.apiserver.connect.rewrite import Html, Links
from knarr.apiserver.request import Request, RequestInfo, Response
from knarr.component_base import http_client
from knarr.component_base.http_client import Address, Incoming, Outgoing

#: Finds the backend of a request.
Locate = Callable[[RequestInfo], Target]
_PATH_SAFE = "/:@!$&'()*+,;=~"
_BODILESS = frozenset({204, 304})


def pods(reader: Reader, kubelets: Kubelets) -> Proxy:
    """Answers `pods/proxy`."""
    return Proxy(lambda info: proxy_targets.pod(reader, info.namespace, info.name), kubelets)


def services(reader: Reader, kubelets: Kubelets) -> Proxy:
    """Answers `services/proxy`."""
    return Proxy(lambda info: proxy_targets.service(reader, info.namespace, info.name, random.choice), kubelets)


def nodes(reader: Reader, kubelets: Kubelets) -> Proxy:
    """Answers `nodes/proxy`."""
    return Proxy(lambda info: proxy_targets.node(reader, info.name), kubelets)


class Proxy:
    """Carries requests to what `locate` finds."""

    def __init__(self, locate: Locate, kubelets: Kubelets) -> None:
        self._locate = locate
        self._kubelets = kubelets

    async def __call__(self, request: Request) -> Response:
        """The backend's answer. Raises `StatusError`: 503 when the backend cannot be reached."""
        info = request.info or RequestInfo("", "")
        found = self._locate(info)
        path = backend_path(request, info)
        if not path and request.method in ("GET", "HEAD") and not upgrade.is_wanted(request):
            query = f"?{request.raw_query}" if request.raw_query else ""
            return Response(301, b"", "", {"Location": f"{_escaped(request.path)}/{query}"})
        address = self._address(found)
        target = _escaped(path or "/") + (f"?{request.raw_query}" if request.raw_query else "")
        if upgrade.is_wanted(request):
            return await upgrade.through(request, address, target, self._kubelets.connect)
        prefix = request.path.removesuffix(path)
        links = Links(_escaped(prefix), address.authority, request.headers.get("host", ""))
        return await self._carry(request, address, target, links)

    def _address(self, found: Target) -> Address:
        if found.kubelet:
            return self._kubelets.address(KubeletAddress(found.host, found.port))
        # As in Kubernetes: who serves HTTPS in a pod has no certificate that the cluster could check.
        return Address(found.host, found.port, _no_verification() if found.scheme == "https" else None)

    async def _carry(self, request: Request, address: Address, target: str, links: Links) -> Response:
        headers = [*upgrade.forwarded_headers(request), *_forwarding(request, target, links)]
        length = request.headers.get("content-length", "")
        body = request.body if request.stream is None else request.stream
        outgoing = Outgoing(request.method, target, headers, body, int(length) if length.isdecimal() else None)
        try:
            answer = await http_client.send(address, outgoing, self._kubelets.connect)
        except ConnectionError as error:
            raise service_unavailable(f"error trying to reach service: {error}") from error
        return await _response(request, answer, links)


def backend_path(request: Request, info: RequestInfo) -> str:
    """The backend's path, a suffix of the request's own: empty, or with a slash in front."""
    if info.rest.strip("/"):
        return "/" + info.rest.removeprefix("/")
    return "/" if request.path.endswith("/") else ""


def _forwarding(request: Request, target: str, links: Links) -> list[tuple[str, str]]:
    headers = [("X-Forwarded-Uri", links.prefix + target.partition("?")[0])]
    if request.remote:
        before = request.headers.get("x-forwarded-for", "")
        headers.append(("X-Forwarded-For", f"{before}, {request.remote}" if before else request.remote))
    if host := request.headers.get("host"):
        headers.append(("Host", host))
    return headers


async def _response(request: Request, answer: Incoming, links: Links) -> Response:
    location = answer.header("location")
    html = not location and answer.header("content-type").partition(";")[0].strip() == "text/html"
    encoding = answer.header("content-encoding").lower()
    rewritten = html and encoding in ("", "identity", "gzip")
    bodiless = request.method == "HEAD" or answer.status in _BODILESS
    response = Response(answer.status, b"", "", patient=True)
    for name, value in answer.headers:
        lower = name.lower()
        if lower == "content-length" and not (rewritten and not bodiless):
            response.headers["Content-Length"] = value
        elif lower not in upgrade.HOP_BY_HOP and lower != "content-length":
            response.repeated.append((name, links.rewrite(value) if lower == "location" else value))
    if bodiless:
        await answer.aclose()
    else:
        response.body = _Rewritten(answer, Html(links), gzip=encoding == "gzip") if rewritten else answer
    return response


class _Rewritten:
    """A page's chunks with its links rewritten."""

    def __init__(self, source: Incoming, html: Html, *, gzip: bool) -> None:
        self._source = source
        self._html = html
        self._inflate = zlib.decompressobj(wbits=31) if gzip else None
        self._deflate = zlib.compressobj(wbits=31) if gzip else None
        self._finished = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._finished:
            raise StopAsyncIteration
        try:
            chunk = await anext(self._source)
        except StopAsyncIteration:
            self._finished = True
            return self._packed(self._html.finish(), end=True)
        try:
            plain = self._inflate.decompress(chunk) if self._inflate is not None else chunk
        except zlib.error as error:
            raise ConnectionError(f"malformed page: {error}") from error
        return self._packed(self._html.feed(plain), end=False)

    def _packed(self, plain: bytes, *, end: bool) -> bytes:
        if self._deflate is None:
            return plain
        return self._deflate.compress(plain) + self._deflate.flush(zlib.Z_FINISH if end else zlib.Z_SYNC_FLUSH)

    async def aclose(self) -> None:
        """Close the source."""
        await self._source.aclose()


def _escaped(path: str) -> str:
    return quote(path, safe=_PATH_SAFE)


def _no_verification() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
