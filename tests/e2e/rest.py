"""Plain HTTP to a cluster with the administrator's certificate: what no client library stands between."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml


class Rest:
    """One connection a request, as with curl."""

    def __init__(self, kubeconfig: Path) -> None:
        given = yaml.safe_load(kubeconfig.read_text())
        user, cluster = given["users"][0]["user"], given["clusters"][0]["cluster"]
        self._address = urllib.parse.urlsplit(cluster["server"]).netloc
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as file:
            for key in ("client-certificate-data", "client-key-data"):
                file.write(base64.b64decode(user[key]))
            file.flush()
            self._tls.load_cert_chain(file.name)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and decoded body, or text. A body that is text is sent as it is."""
        with self._sent(method, path, body, headers) as answer:
            content = answer.read()
            # The media type does not tell: lists of OpenAPI documents are JSON in plain text.
            try:
                return answer.status, json.loads(content)
            except json.JSONDecodeError:
                return answer.status, content.decode()

    def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The decoded body of a request that must succeed."""
        status, found = self(method, path, body, **headers)
        assert status < 400, found
        return found

    def warnings(self, method: str, path: str, body: Any = None) -> tuple[int, list[str]]:
        """Status and warnings of an answer."""
        with self._sent(method, path, body, {}) as answer:
            return answer.status, answer.headers.get_all("Warning") or []

    def watch(self, path: str, count: int) -> list[Any]:
        """The first events of a watch, of at most ten seconds; the path has a query already."""
        with self._sent("GET", f"{path}&watch=true&timeoutSeconds=10", None, {}) as answer:
            # In this order: the other way round one event more than wanted is waited for.
            return [json.loads(line) for _, line in zip(range(count), _lines(answer), strict=False)]

    def watch_until(self, path: str, done: Callable[[list[Any]], bool]) -> list[Any]:
        """The events of a watch, up to the one with which they are `done`; the path has a query already."""
        seen: list[Any] = []
        with self._sent("GET", f"{path}&watch=true&timeoutSeconds=60", None, {}) as answer:
            for line in _lines(answer):
                seen.append(json.loads(line))
                if done(seen):
                    return seen
        raise AssertionError(f"the watch of {path} ended with {len(seen)} events")

    def upgrade(self, path: str, protocol: str) -> tuple[bytes, ssl.SSLSocket]:
        """Ask for another protocol: the head of the answer, and the connection behind it."""
        host, port = self._address.split(":")
        plain = socket.create_connection((host, int(port)), timeout=120)
        connection = self._tls.wrap_socket(plain, server_hostname=host)
        asked = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
        connection.sendall(asked.encode())
        head = b""
        while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
            head += byte
        return head, connection

    @contextmanager
    def _sent(
        self, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(self._address, context=self._tls, timeout=120)
        try:
            data = body if body is None or isinstance(body, str) else json.dumps(body)
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, data, {"Content-Type": "application/json", **given})
            yield connection.getresponse()
        finally:
            connection.close()


def _lines(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while line := answer.readline():
        yield line
