"""Certificates run out while everything runs, and nobody notices."""

from __future__ import annotations

import asyncio
import datetime
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from cryptography import x509

from knarr.client.http import HttpTransport
from knarr.cmd.fresh import follow
from knarr.cmd.node_paths import NodePaths
from knarr.component_base import kubeconfig
from knarr.component_base.clock import RealClock
from knarr.component_base.tasks import Tasks

#: Seconds that the certificates are good for.
LIFE = 15.0
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
BODY = b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """The data directory of a server whose certificates are short-lived."""
    command = [sys.executable, "-m", "knarr.cmd.main", "server", "--role", "apiserver", "--datastore", "memory"]
    command += ["--bind-address", "127.0.0.1", "--port", "0", "--name", "n", "--certificate-days", str(LIFE / 86400)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--data-dir", str(tmp_path)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 90
        while b"serving" not in (tmp_path / "log").read_bytes():
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.05)
        yield tmp_path
        server.send_signal(signal.SIGTERM)
        assert server.wait(90) == 0
    finally:
        server.kill()
        server.wait()


async def user(transport: HttpTransport) -> str:
    answer = await transport.request("POST", REVIEW, {}, BODY)
    return str(orjson.loads(answer.body)["status"]["userInfo"]["username"])


def expiry(pem: bytes) -> datetime.datetime:
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


async def greet(context: ssl.SSLContext, authority: bytes) -> None:
    """A connection to a server with this context, whose certificate is verified."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        trust = ssl.create_default_context(cadata=authority.decode())
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=trust)
        await reader.read()
        writer.close()
        await writer.wait_closed()


def test_a_node_goes_on_when_its_certificates_have_run_out(data: Path) -> None:
    async def main() -> None:
        clock, tasks = RealClock(), Tasks()
        path, files = NodePaths(data).agent / "kubeconfig", NodePaths(data).serving()
        access = kubeconfig.load(path)
        stale, renewed = HttpTransport(access), HttpTransport(access)
        old, fresh = files.context(), files.context()
        tasks.start(follow(path, path.read_bytes(), lambda: renewed.renew(kubeconfig.load(path))), "client")
        first = files.certificate.read_bytes()
        tasks.start(
            follow(files.certificate, first, lambda: fresh.load_cert_chain(files.certificate, files.key)), "serving"
        )
        assert await user(stale) == await user(renewed) == "system:node:n"
        last = max(expiry(first), expiry(access.certificate))
        await clock.sleep((last - clock.now()).total_seconds() + 0.1)
        assert await user(renewed) == "system:node:n"
        await greet(fresh, access.authority)
        # Without renewal it would not have gone on.
        await stale.close()
        with pytest.raises(ConnectionError):
            await user(HttpTransport(access))
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            await greet(old, access.authority)
        await tasks.close()
        await renewed.close()

    asyncio.run(main())
