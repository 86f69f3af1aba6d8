"""A small API server to be aggregated, of the standard library alone: it also runs as a script in a pod.

It keeps flunders, streams watches, echoes upgraded connections, and says as whom it sees who asks.
"""

from __future__ import annotations

import json
import os
import queue
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GROUP, VERSION = "wardle.example.com", "v1alpha1"
BASE = f"/apis/{GROUP}/{VERSION}"
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
RESOURCES = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": f"{GROUP}/{VERSION}",
    "resources": [
        {
            "name": "flunders",
            "singularName": "flunder",
            "namespaced": True,
            "kind": "Flunder",
            "verbs": _VERBS,
            "shortNames": ["fl"],
        },
        {"name": "flunders/echo", "singularName": "", "namespaced": True, "kind": "Flunder", "verbs": ["get"]},
    ],
}
_SCHEMA = {
    "type": "object",
    "description": "A flunder",
    "properties": {"kind": {"type": "string"}, "apiVersion": {"type": "string"}, "spec": {"type": "object"}},
    "x-kubernetes-group-version-kind": [{"group": GROUP, "version": VERSION, "kind": "Flunder"}],
}
_ANSWERS = {"200": {"description": "OK"}}
_FLUNDER = {"$ref": "#/definitions/com.example.wardle.v1alpha1.Flunder"}
_LIST = {
    "operationId": "listFlunders",
    "x-kubernetes-action": "list",
    "x-kubernetes-group-version-kind": {"group": GROUP, "version": VERSION, "kind": "Flunder"},
}
_V3 = {
    "openapi": "3.0.0",
    "info": {"title": "wardle", "version": "v1"},
    "paths": {f"{BASE}/flunders": {"get": {**_LIST, "responses": _ANSWERS}}},
    "components": {"schemas": {"com.example.wardle.v1alpha1.Flunder": _SCHEMA}},
}
_V2 = {
    "swagger": "2.0",
    "info": {"title": "wardle", "version": "v1"},
    "paths": {
        "/healthz": {"get": {"operationId": "wardleHealth", "responses": _ANSWERS}},
        f"{BASE}/flunders": {
            "get": {
                "operationId": "listFlunders",
                "responses": {"200": {"description": "OK", "schema": _FLUNDER}},
            }
        },
    },
    "definitions": {
        "com.example.wardle.v1alpha1.Flunder": _SCHEMA,
        "com.example.wardle.v1alpha1.Unused": {"type": "object"},
    },
}
_DOCUMENTS: dict[str, Any] = {
    BASE: RESOURCES,
    "/openapi/v2": _V2,
    "/openapi/v3": {"paths": {BASE[1:]: {"serverRelativeURL": f"/openapi/v3{BASE}?hash=ABC"}}},
    f"/openapi/v3{BASE}": _V3,
}


class Flunders:
    """The objects, and who watches them."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Any] = {}
        self.version = 0
        self.watchers: list[queue.Queue[Any]] = []
        self.lock = threading.Lock()

    def change(self, event: str, key: tuple[str, str], obj: Any) -> Any:
        with self.lock:
            self.version += 1
            meta = obj.setdefault("metadata", {})
            meta.update(namespace=key[0], name=key[1], resourceVersion=str(self.version))
            obj.update(kind="Flunder", apiVersion=f"{GROUP}/{VERSION}")
            if event == "DELETED":
                del self.items[key]
            else:
                self.items[key] = obj
            for watcher in self.watchers:
                watcher.put({"type": event, "object": obj})
            return obj


class ExtensionApi(ThreadingHTTPServer):
    """Listens with TLS; who shows no certificate of the front proxies' authority is not heard."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], certificate: str, key: str, proxies: str) -> None:
        super().__init__(address, _Handler)
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=proxies)
        self.tls.load_cert_chain(certificate, key)
        self.tls.verify_mode = ssl.CERT_OPTIONAL
        self.flunders = Flunders()
        #: Answers every request instead.
        self.hostile: Callable[[BaseHTTPRequestHandler], None] | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake in the connection's own thread: who makes none holds up nobody.
        with self.tls.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def server_close(self) -> None:
        """End the watches too."""
        super().server_close()
        for watcher in self.flunders.watchers:
            watcher.put(None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ExtensionApi

    def answer(self) -> None:
        if self.server.hostile is not None:
            self.server.hostile(self)
            return
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        if self._proxy() != "front-proxy-client":
            self.send({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401}, 401)
        elif path in _DOCUMENTS:
            self.send(_DOCUMENTS[path])
        elif path == f"{BASE}/whoami":
            names = ("X-Remote-User", "X-Remote-Uid", "X-Remote-Group", "Authorization", "Impersonate-User")
            extra = {k: v for k, v in self.headers.items() if k.lower().startswith("x-remote-extra-")}
            self.send({**{name: self.headers.get_all(name) for name in names}, "extra": extra, "query": query})
        elif path.startswith(BASE):
            self.flunder(path.removeprefix(BASE).strip("/").split("/"), query, body)
        else:
            self.send({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}, 404)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer  # noqa: N815

    def _proxy(self) -> str:
        connection: Any = self.connection
        subject = (connection.getpeercert() or {}).get("subject") or ()
        return next((value for part in subject for key, value in part if key == "commonName"), "")

    def flunder(self, parts: list[str], query: str, body: Any) -> None:
        """`namespaces/N/flunders[/NAME[/echo]]`, or `flunders`."""
        flunders = self.server.flunders
        namespace = parts[1] if parts[0] == "namespaces" else ""
        rest = parts[3:] if namespace else parts[1:]
        if len(rest) == 2:
            self.echo()
        elif "watch=" in query:
            self.watch()
        elif self.command == "POST":
            key = (namespace, body["metadata"]["name"])
            self.send(flunders.change("ADDED", key, body), 201)
        elif not rest:
            found = [item for key, item in flunders.items.items() if namespace in ("", key[0])]
            meta = {"resourceVersion": str(flunders.version)}
            if self.command == "DELETE":
                for item in found:
                    flunders.change("DELETED", (item["metadata"]["namespace"], item["metadata"]["name"]), item)
            self.send({"kind": "FlunderList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": meta, "items": found})
        else:
            self.one((namespace, rest[0]), body)

    def one(self, key: tuple[str, str], body: Any) -> None:
        flunders = self.server.flunders
        found = flunders.items.get(key)
        if found is None:
            details = {"kind": "flunders", "name": key[1]}
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            self.send({**status, "message": f'flunders "{key[1]}" not found', "details": details}, 404)
        elif self.command == "DELETE":
            self.send(flunders.change("DELETED", key, found))
        elif self.command == "PUT":
            self.send(flunders.change("MODIFIED", key, body))
        elif self.command == "PATCH":
            merged = {**found, **{name: value for name, value in body.items() if name != "metadata"}}
            merged["metadata"] = {**found["metadata"], **(body.get("metadata") or {})}
            self.send(flunders.change("MODIFIED", key, merged))
        else:
            self.send(found)

    def watch(self) -> None:
        events: queue.Queue[Any] = queue.Queue()
        self.server.flunders.watchers.append(events)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        while event := events.get():
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            self.wfile.flush()
        self.close_connection = True

    def echo(self) -> None:
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        while data := self.connection.recv(4096):
            self.connection.sendall(self.headers["X-Remote-User"].encode() + b":" + data)

    def send(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def serving(certificate: str, key: str, proxies: str) -> Iterator[ExtensionApi]:
    """A running server on loopback."""
    server = ExtensionApi(("127.0.0.1", 0), certificate, key, proxies)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    folder = sys.argv[1]
    with open(os.path.join(folder, "proxies.crt")) as file:
        authorities = file.read()
    files = (os.path.join(folder, "tls.crt"), os.path.join(folder, "tls.key"))
    ExtensionApi(("", 8443), *files, authorities).serve_forever()
