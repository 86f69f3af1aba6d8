"""A webhook over TLS for tests: it answers as it is told, also as no decent one would."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from knarr.component_base import certificates
from knarr.component_base.certificates import Authority, Leaf
from knarr.component_base.clock import RealClock

#: From the request of a review to the members of its response.
Answer = Callable[[Any], dict[str, Any]]
#: Answers an HTTP request as it likes.
Raw = Callable[[BaseHTTPRequestHandler], None]


class WebhookServer:
    """Listens on loopback. Paths are answered by what was put there."""

    def __init__(self, directory: Path, *names: str) -> None:
        now = RealClock().now()
        self.authority = Authority.load_or_create(directory, "webhook-ca", now)
        leaf = Leaf("webhook", dns=("localhost", *names), ips=("127.0.0.1",), server=True)
        files = certificates.leaf_files(self.authority, directory, "webhook", leaf, now)
        self._answers: dict[str, Answer] = {}
        self._raw: dict[str, Raw] = {}
        #: The reviews that were asked, by path.
        self.asked: dict[str, list[Any]] = {}
        #: Client ports that were seen: one a connection.
        self.ports: set[int] = set()
        #: Set when the server ends: who hangs may go.
        self.ended = threading.Event()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*files)
        self._server = _Quiet(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.tls = tls
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def bundle(self) -> str:
        """The `caBundle` that trusts it."""
        return base64.b64encode(self.authority.certificate).decode()

    def client_config(self, path: str) -> dict[str, Any]:
        """The `clientConfig` of a path."""
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.bundle}

    def on(self, path: str, answer: Answer) -> None:
        """Answer reviews on a path."""
        self._answers[path] = answer

    def raw(self, path: str, answer: Raw) -> None:
        """Answer requests on a path."""
        self._raw[path] = answer

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no longer."""
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self.close()

    def close(self) -> None:
        """Give up the port of one that was not started."""
        self._server.server_close()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.ports.add(handler.client_address[1])
        path = handler.path.partition("?")[0]
        if path in self._raw:
            self._raw[path](handler)
            return
        length = int(handler.headers.get("Content-Length", 0))
        review = json.loads(handler.rfile.read(length))
        self.asked.setdefault(path, []).append(review["request"])
        response = {"uid": review["request"]["uid"], "allowed": True, **self._answers[path](review["request"])}
        send_json(handler, {"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response})


class _Quiet(ThreadingHTTPServer):
    tls: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake in the connection's own thread: who makes none holds up nobody.
        with self.tls.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news."""


def _handler(server: WebhookServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are written one after the other: the second must not wait for the first.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:  # noqa: N802 - the name is the library's
            server.serve(self)

        do_GET = do_POST  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    return Handler


def send_json(handler: BaseHTTPRequestHandler, value: Any, status: int = 200) -> None:
    """Answer with a JSON document."""
    send(handler, json.dumps(value).encode(), status, "application/json")


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, media: str = "text/plain") -> None:
    """Answer with bytes."""
    handler.send_response(status)
    handler.send_header("Content-Type", media)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """The members of a response that patches."""
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


def item(name: str, value: str) -> dict[str, Any]:
    """The operation that sets an item of a ConfigMap's data."""
    return {"op": "add", "path": f"/data/{name}", "value": value}


@contextmanager
def serving(directory: Path, *names: str) -> Iterator[WebhookServer]:
    """A running webhook; `names` are those that its certificate is for besides localhost."""
    server = WebhookServer(directory, *names)
    server.start()
    try:
        yield server
    finally:
        server.stop()
