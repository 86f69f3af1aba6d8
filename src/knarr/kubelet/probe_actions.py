"""Carries out one probe or hook: exec, HTTP(S), TCP, gRPC. Wording is that of Kubernetes' probes.

An action gives `Outcome`: success, and what is to be told about a failure. Raises `ActionError` when it could not be
tried at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from knarr.apimachinery.types import Object
from knarr.cri.runtime import DEADLINE, CriError, RuntimeService

_AGENT = "kube-probe/1.36"
_MOST_BODY, _MOST_OUTPUT = 10 * 1024, 10 * 1024
_MOST_REDIRECTS = 10


class Outcome(NamedTuple):
    """Whether it succeeded, and its words."""

    success: bool
    message: str = ""
    warning: bool = False


class ActionError(Exception):
    """The action could not be carried out."""


class Target(NamedTuple):
    """What is acted on. `ip` is the pod's address."""

    container: Object
    container_id: str
    ip: str


async def act(spec: Object, target: Target, timeout: float, runtime: RuntimeService) -> Outcome:
    """Do what a probe's or hook's spec says, within `timeout` seconds."""
    if action := spec.get("exec"):
        return await _exec(action.get("command") or [], target, timeout, runtime)
    if action := spec.get("httpGet"):
        return await _within(timeout, _url(action, target), _http(action, target))
    if action := spec.get("tcpSocket"):
        host, port = action.get("host") or target.ip, port_number(action["port"], target.container)
        return await _tcp(host, port, timeout)
    if action := spec.get("grpc"):
        return await _grpc(target.ip, int(action["port"]), action.get("service") or "", timeout)
    raise ActionError("missing probe handler")


def port_number(port: object, container: Object) -> int:
    """A port by number or by its name in the container. Raises `ActionError`."""
    if isinstance(port, int):
        return port
    if str(port).isdigit():
        return int(str(port))
    for each in container.get("ports") or ():
        if each.get("name") == port:
            return int(each["containerPort"])
    raise ActionError(f"couldn't find port: {port}")


async def _exec(command: list[str], target: Target, timeout: float, runtime: RuntimeService) -> Outcome:
    try:
        result = await runtime.exec_sync(target.container_id, command, max(int(timeout), 1))
    except CriError as error:
        if error.code == DEADLINE:
            return Outcome(False, f'command timed out: "{" ".join(command)}" timed out after {int(timeout)}s')
        raise ActionError(str(error)) from error
    output = (result.stdout + result.stderr)[:_MOST_OUTPUT].decode(errors="replace")
    return Outcome(result.exit_code == 0, output)


async def _tcp(host: str, port: int, timeout: float) -> Outcome:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(False, f"dial tcp {address}: i/o timeout")
    except OSError as error:
        return Outcome(False, f"dial tcp {address}: connect: {_words(error)}")
    await _close(writer)
    return Outcome(True)


async def _grpc(host: str, port: int, service: str, timeout: float) -> Outcome:
    from knarr.kubelet.grpc_health import check

    return Outcome(*await check(host, port, service, timeout))


async def _within(timeout: float, url: str, request: Awaitable[Outcome]) -> Outcome:
    try:
        async with asyncio.timeout(timeout):
            return await request
    except TimeoutError:
        words = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Outcome(False, f'Get "{url}": {words}')


def _url(action: Object, target: Target) -> str:
    host = action.get("host") or target.ip
    port = port_number(action["port"], target.container)
    path = action.get("path") or "/"
    shown = f"[{host}]" if ":" in host else host
    return f"{(action.get('scheme') or 'HTTP').lower()}://{shown}:{port}{path if path.startswith('/') else '/' + path}"


async def _http(action: Object, target: Target) -> Outcome:
    """Follows redirects on the same host; one that leads elsewhere is a success with a warning."""
    url = first = _url(action, target)
    headers = [(each["name"], each.get("value", "")) for each in action.get("httpHeaders") or ()]
    for _ in range(_MOST_REDIRECTS):
        try:
            status, location, body = await _get(url, headers)
        except OSError as error:
            return Outcome(False, f'Get "{url}": {_dial(url, error)}')
        except (EOFError, ValueError) as error:
            return Outcome(False, f'Get "{url}": {error}')
        if status not in (301, 302, 303, 307, 308) or not location:
            break
        url = urljoin(url, location)
        if urlsplit(url).hostname != urlsplit(first).hostname:
            return Outcome(True, f"Probe terminated redirects, Response body: {body}", True)
    else:
        return Outcome(False, f'Get "{url}": stopped after {_MOST_REDIRECTS} redirects')
    if 200 <= status < 400:
        return Outcome(True, body)
    return Outcome(False, f"HTTP probe failed with statuscode: {status}")


def _dial(url: str, error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"tls: {error.reason or error}"
    return f"dial tcp {urlsplit(url).netloc}: connect: {_words(error)}"


def _words(error: OSError) -> str:
    """As Go words an errno: in lower case."""
    text = error.strerror or str(error)
    if error.errno == 111 or isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return text[:1].lower() + text[1:]


async def _get(url: str, headers: list[tuple[str, str]]) -> tuple[int, str, str]:
    """(status, Location, body) of one request on a connection of its own."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=_any_certificate() if secure else None)
    try:
        writer.write(_request(url, headers))
        await writer.drain()
        return await _answer(reader)
    finally:
        await _close(writer)


def _request(url: str, headers: list[tuple[str, str]]) -> bytes:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    given = {name.lower() for name, _ in headers}
    lines = [f"GET {path} HTTP/1.1"]
    defaults = (("Host", parts.netloc), ("User-Agent", _AGENT), ("Accept", "*/*"), ("Connection", "close"))
    lines += [f"{name}: {value}" for name, value in defaults if name.lower() not in given]
    # An empty value means: do not send the header at all.
    lines += [f"{name}: {value}" for name, value in headers if value or name.lower() not in ("user-agent", "accept")]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str, str]:
    """Read an answer's head and the beginning of its body. Raises `EOFError` and `ValueError`."""
    import httptools

    class Head:
        location = ""
        body = b""
        complete = False

        def on_header(self, name: bytes, value: bytes) -> None:
            if name.lower() == b"location":
                self.location = value.decode(errors="replace")

        def on_body(self, data: bytes) -> None:
            self.body += data

        def on_message_complete(self) -> None:
            self.complete = True

    head = Head()
    parser = httptools.HttpResponseParser(head)
    while not head.complete and len(head.body) < _MOST_BODY:
        data = await reader.read(65536)
        if not data:
            break
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ValueError(f"malformed HTTP response: {error}") from error
    status = parser.get_status_code()
    if not status:
        raise EOFError("EOF")
    return status, head.location, head.body[:_MOST_BODY].decode(errors="replace")


def _any_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
