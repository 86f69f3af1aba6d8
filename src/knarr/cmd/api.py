"""A few plain requests to a cluster's API server, for commands that must start quickly: the standard library only."""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from knarr.component_base import kubeconfig


class Unreachable(Exception):
    """The API server cannot be reached, or not yet; the text says why."""


class Api:
    """The API server a kubeconfig names, as its user."""

    def __init__(self, path: Path) -> None:
        """Raises `Unreachable` if the file is not there (yet) or not complete."""
        try:
            access = kubeconfig.load(path)
        except (OSError, ValueError, KeyError) as error:
            raise Unreachable(f"{path}: {error}") from error
        self.server = access.server
        self._access = access
        self._context = ssl.create_default_context(cadata=access.authority.decode())
        if access.certificate:
            with _in_memory(access.certificate + b"\n" + access.key) as name:
                self._context.load_cert_chain(name)

    def get(self, path: str, timeout: float = 2.0) -> tuple[int, bytes]:
        """Status and body of a GET. Raises `Unreachable`."""
        return self._ask("GET", path, None, timeout)

    def put(self, path: str, obj: Any, timeout: float = 10.0) -> tuple[int, bytes]:
        """Status and body of a PUT. Raises `Unreachable`."""
        return self._ask("PUT", path, orjson.dumps(obj), timeout)

    def _ask(self, method: str, path: str, body: bytes | None, timeout: float) -> tuple[int, bytes]:
        url = urlsplit(self.server)
        connection = http.client.HTTPSConnection(
            url.hostname or "", url.port or 443, timeout=timeout, context=self._context
        )
        headers = {"Authorization": f"Bearer {self._access.token}"} if self._access.token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.server}: {error}") from error
        finally:
            connection.close()

    def read(self, path: str) -> Any:
        """The decoded body of a GET that must succeed. Raises `Unreachable`."""
        status, body = self.get(path)
        if status != 200:
            raise Unreachable(f"{self.server}{path}: HTTP {status}")
        return orjson.loads(body)


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A file name for content that `ssl` wants to read from one; nothing touches the disk."""
    handle = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(handle, content)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
