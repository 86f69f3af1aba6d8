"""What `knarr server` runs once it is loaded: store, API server, listeners, controllers and scheduler."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import gc
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import uvloop

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.admission.config import AdmissionConfig
from knarr.apiserver.connect import connectors
from knarr.apiserver.server import ApiServer, ServerConfig, build
from knarr.cmd import audit, datastore, identity, shared_secrets
from knarr.cmd.identity import Authorities, FlagError
from knarr.cmd.server_files import Files, node_name
from knarr.cmd.shared_secrets import SecretsError
from knarr.component_base import logs
from knarr.component_base.clock import Clock, RealClock
from knarr.component_base.http_server import HttpServer
from knarr.component_base.metrics import STABLE, About, Looked, Sample
from knarr.component_base.tasks import Tasks
from knarr.storage.store import StoreError

#: Seconds between looks at whether the certificates are due for renewal, at most.
_RENEWAL = 3600.0
_DAY = 86400.0
#: Seconds after which what the start has left over is looked through, once.
_SETTLED = 5.0
_log = logs.get("server")


@dataclass(slots=True)
class Running:
    """What a component beside the API server is given."""

    api: ApiServer
    files: Files
    arguments: argparse.Namespace
    clock: RealClock


async def _control_plane(running: Running) -> None:
    """Controllers and scheduler. Imported late: a bare API server needs none of it."""
    from knarr.cmd.control_plane import ControlPlane, Settings

    settings = Settings(
        root_ca=running.files.authority.decode(),
        cluster_cidrs=tuple(running.arguments.cluster_cidr.split(",")),
        dns_address=running.arguments.dns_address,
        sign=_sign(running.files),
        sign_token=running.api.ctx.token_requests.signer.sign,
        certificate_life=running.arguments.cluster_signing_duration,
    )
    registry = running.api.ctx.metrics.registry
    identity = datastore.identity(running.arguments, node_name(running.arguments))
    await ControlPlane(running.api.handler, running.clock, settings, identity, registry).run()


def _sign(files: Files) -> Callable[[bytes, Sequence[str], datetime.timedelta, datetime.datetime], bytes]:
    """Signs with the cluster's authority as its files have it at the time."""
    from knarr.component_base import request_signing

    def sign(pem: bytes, usages: Sequence[str], life: datetime.timedelta, now: datetime.datetime) -> bytes:
        return request_signing.sign(files.signing_authority(), pem, usages, life, now)

    return sign


#: A component runs until it is cancelled.
Component = Callable[[Running], Awaitable[None]]
#: What runs beside the API server with `--role all`, by name, in the order it is started.
COMPONENTS: tuple[tuple[str, Component], ...] = (("control-plane", _control_plane),)


def run(arguments: argparse.Namespace, files: Files, sockets: Sequence[socket.socket]) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit code."""
    logs.configure(arguments.log_level)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(arguments, files, sockets))
    except (StoreError, SecretsError, StatusError, FlagError) as error:
        print(f"knarr server: {error}", file=sys.stderr)
        return 1


async def _serve(arguments: argparse.Namespace, files: Files, sockets: Sequence[socket.socket]) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    clock = RealClock()
    store = await datastore.open_store(arguments, stopping)
    tasks = Tasks()
    try:
        if datastore.is_shared(arguments):
            await shared_secrets.share(store, files.directory, datastore.token(arguments), clock.now())
            files.prepare(clock.now())
        encryption = arguments.encryption
        if encryption is not None:
            store = await encryption.over(store)
        trusted = identity.authorities(arguments, files.authority, files.proxy_authority)
        api = await build(_config(arguments, files, trusted, clock), store, clock)
        api.ctx.metrics.registry.add(_size(arguments))
        if encryption is not None:
            api.ctx.metrics.registry.add(*encryption.metrics)
            tasks.forever(lambda: encryption.run(clock), "encryption")
        context, kubelets = _tls(files, trusted), _kubelet_tls(files)
        api.ctx.connectors.update(connectors.build(api.ctx.reader, kubelets))
        http = HttpServer(api.handler, context, api.quick, streams_body=connectors.streams_body)
        for sock in sockets:
            await http.listen_socket(sock)
        tasks.forever(lambda: _renew(files, context, kubelets, clock), "certificates")
        running = Running(api, files, arguments, clock)
        for name, component in COMPONENTS if arguments.role == "all" else ():
            tasks.forever(lambda component=component: component(running), name)  # type: ignore[misc]
        tasks.start(_settle(clock), "garbage")
        _log.info("serving", address=files.address, port=files.port)
        await stopping.wait()
        _log.info("stopping")
        api.health.shutting_down = True
        await tasks.close()
        await http.close()
        await api.close()
    finally:
        await tasks.close()
        await store.close()
        if arguments.encryption is not None:
            arguments.encryption.close()
    return 0


async def _settle(clock: Clock) -> None:
    """Turn the garbage collector on, and keep it from what the start has made: that stays."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()
    await clock.sleep(_SETTLED)
    # What the start has left behind is given back once the first requests are answered.
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _config(arguments: argparse.Namespace, files: Files, trusted: Authorities, clock: Clock) -> ServerConfig:
    return ServerConfig(
        signing_keys=identity.signing_keys(arguments, files.signing_key),
        authentication=identity.settings(arguments, trusted, clock),
        service_cidr=arguments.service_cidr,
        node_ports=arguments.node_ports,
        advertise_address=files.address,
        port=files.port,
        client_authority=trusted.clients.decode(),
        proxy_authority=trusted.proxies.decode(),
        shared_store=datastore.is_shared(arguments),
        admission=arguments.admission or AdmissionConfig(),
        auditor=audit.auditor_of(arguments, arguments.audit_policy, clock) if arguments.audit_policy else None,
    )


def _size(arguments: argparse.Namespace) -> Looked:
    """What the database takes, its log included; nothing where it lies elsewhere."""
    about = About("apiserver_storage_size_bytes", "Size of the storage database file.", ("storage_cluster_id",), STABLE)

    def look() -> list[Sample]:
        sizes = [path.stat().st_size for path in arguments.data_dir.glob("state.db*")]
        return [(("sqlite",), sum(sizes))] if sizes else []

    return Looked(about, look)


def _tls(files: Files, trusted: Authorities) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.serving.certificate, files.serving.key)
    trusted.trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _kubelet_tls(files: Files) -> ssl.SSLContext:
    """For connections to kubelets: their certificates are the cluster's."""
    context = ssl.create_default_context(cadata=files.authority.decode())
    context.load_cert_chain(files.kubelet_client.certificate, files.kubelet_client.key)
    return context


async def _renew(files: Files, context: ssl.SSLContext, kubelets: ssl.SSLContext, clock: Clock) -> None:
    """Issue certificates that are due again, for ever; new connections get the new ones."""
    while True:
        await clock.sleep(min(_RENEWAL, files.days * _DAY / 20))
        await asyncio.to_thread(files.prepare, clock.now())
        context.load_cert_chain(files.serving.certificate, files.serving.key)
        kubelets.load_cert_chain(files.kubelet_client.certificate, files.kubelet_client.key)
