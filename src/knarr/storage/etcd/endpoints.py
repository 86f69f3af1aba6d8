"""Where an etcd is: the addresses of its members and the TLS files, from the flags that K3s has for this."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORT = 2379


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What TLS to etcd takes: its authority, and the client's certificate and key. Empty: not given."""

    authority: str = ""
    certificate: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """A context for gRPC. Raises `OSError` (`ssl.SSLError` too) for files that cannot be used."""
        context = ssl.create_default_context(cafile=self.authority or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key or None)
        return context


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One member: host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""
    tls: bool = False

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def parse(text: str) -> Sequence[Endpoint]:
    """Endpoints, separated by commas: `http://`, `https://` or `unix:///path`. Raises `ValueError`."""
    found = [_one(part.strip()) for part in text.split(",") if part.strip()]
    if not found:
        raise ValueError("no endpoint given")
    return found


def _one(text: str) -> Endpoint:
    parts = urlsplit(text)
    if parts.scheme == "unix" and parts.path and not parts.netloc:
        return Endpoint(path=parts.path)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is no endpoint of etcd: http://HOST:PORT, https://HOST:PORT or unix:///PATH")
    if parts.path.strip("/") or parts.query:
        raise ValueError(f"{text!r}: an endpoint has no path")
    return Endpoint(parts.hostname, parts.port or _PORT, tls=parts.scheme == "https")
