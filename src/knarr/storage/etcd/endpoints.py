"""Where an etcd is: the addresses of its members and the TLS files, from the flags that K3s has for this."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_PORT = 2379


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What TLS to etcd takes: its authority, and the client's certificate and key. Empty: not given."""

    authority: str = ""
    certificate: str = ""
    key: str = ""

    def read(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Authority (the system's when none is given), certificate and key, PEM. Raises `OSError`."""
        authority = self.authority or ssl.get_default_verify_paths().cafile
        # A certificate may have its key in the same file.
        key = self.key or self.certificate
        return _read(authority), _read(self.certificate), _read(key)


def _read(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One member: host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""
    tls: bool = False

    @property
    def authority(self) -> str:
        """Host and port as in an address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        return f"{'https' if self.tls else 'http'}://{self.authority}"


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
