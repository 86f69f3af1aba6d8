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
from knarr.cmd import audit, autoscaling_flags, datastore, identity, shared_secrets, storage_flags
from knarr.cmd.identity import Authorities, FlagError
from knarr.cmd.renewal import Renewal
from knarr.cmd.server_files import Files, node_name
from knarr.cmd.shared_secrets import SecretsError
from knarr.component_base import logs
from knarr.component_base.clock import Clock, RealClock
from knarr.component_base.http_server import HttpServer, StreamsBody
from knarr.component_base.metrics import STABLE, About, Looked, Sample
from knarr.component_base.tasks import Tasks
from knarr.storage.store import StoreError

#: Seconds after which what was not needed for the start is loaded, and after which what that has left over is looked
#: through, once.
_WARMING, _SETTLED = 0.1, 5.0
#: Objects made since the garbage collector has looked last: requests leave next to nothing for it to find.
_YOUNG = 50_000
_log = logs.get("server")


@dataclass(slots=True)
class Running:
    """What a component beside the API server is given."""

    api: ApiServer
    files: Files
    arguments: argparse.Namespace
    clock: RealClock
    #: Verifies kubelets, and shows them the API server's client certificate.
    kubelets: ssl.SSLContext
    #: Set when another authority has taken over.
    succeeded: asyncio.Event

    async def succeed(self, authority: str) -> None:
        """Tell the cluster of another authority."""
        trusted = identity.authorities(self.arguments, authority.encode(), self.files.proxy_authority)
        await self.api.trust(trusted.clients.decode())
        self.succeeded.set()


async def _control_plane(running: Running) -> None:
    """Controllers and scheduler; begun anew when another authority has taken over."""
    plane = asyncio.ensure_future(_control(running))
    succession = asyncio.ensure_future(running.succeeded.wait())
    try:
        await asyncio.wait((plane, succession), return_when=asyncio.FIRST_COMPLETED)
        running.succeeded.clear()
        if plane.done():
            plane.result()
    finally:
        for each in (plane, succession):
            each.cancel()
        await asyncio.gather(plane, succession, return_exceptions=True)


async def _control(running: Running) -> None:
    """Imported late: a bare API server needs none of it."""
    from knarr.cmd.control_plane import ControlPlane, Settings

    settings = Settings(
        root_ca=running.files.authority.decode(),
        cluster_cidrs=tuple(running.arguments.cluster_cidr.split(",")),
        dns_address=running.arguments.dns_address,
        local_storage=storage_flags.folder(running.arguments),
        local_storage_image=running.arguments.local_storage_image,
        sign=_sign(running.files),
        sign_token=running.api.ctx.token_requests.signer.sign,
        certificate_life=running.arguments.cluster_signing_duration,
        autoscaling=autoscaling_flags.settings(running.arguments),
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


async def _resource_metrics(running: Running) -> None:
    """What nodes and pods use, unless that is left to somebody else. Imported late, as above."""
    from knarr.apiserver.resource_metrics.offer import Offer, withdraw

    api, resolution = running.api, running.arguments.metric_resolution
    if "metrics-server" in running.arguments.disable:
        await withdraw(api.ctx, api.handler)
        await asyncio.Event().wait()
    await Offer(api.ctx, api.handler, running.kubelets, resolution).run()


#: A component runs until it is cancelled.
Component = Callable[[Running], Awaitable[None]]
#: What runs beside the API server with `--role all`, by name, in the order it is started.
COMPONENTS: tuple[tuple[str, Component], ...] = (
    ("control-plane", _control_plane),
    ("resource-metrics", _resource_metrics),
)


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
        _follow_files(api, arguments, tasks, clock)
        renewal = Renewal(files, trusted)
        renewal.renewed = api.ctx.aggregator.backends.forget
        api.ctx.connectors.update(connectors.build(api.ctx.reader, renewal.kubelets))
        streams_body = _streams_body(api)
        http = HttpServer(api.handler, renewal.serving, api.quick, streams_body=streams_body, repeat=api.repeat)
        for sock in sockets:
            await http.listen_socket(sock)
        running = Running(api, files, arguments, clock, renewal.kubelets, asyncio.Event())
        tasks.forever(lambda: renewal.keep(clock, running.succeed), "certificates")
        loop.add_signal_handler(signal.SIGHUP, renewal.ask)
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


def _follow_files(api: ApiServer, arguments: argparse.Namespace, tasks: Tasks, clock: Clock) -> None:
    """Keep an eye on the database's size and on the configuration of encryption."""
    api.ctx.metrics.registry.add(_size(arguments))
    encryption = arguments.encryption
    if encryption is not None:
        api.ctx.metrics.registry.add(*encryption.metrics)
        if encryption.has_plugins:
            api.health.add("kms-providers", encryption.plugins_are_well)
        tasks.forever(lambda: encryption.run(clock), "encryption")


def _streams_body(api: ApiServer) -> StreamsBody:
    """What goes on to pods, Services, nodes and other API servers goes on as it comes in, however large."""
    others = api.ctx.aggregator.streams_body
    return lambda method, path: connectors.streams_body(method, path) or others(method, path)


async def _settle(clock: Clock) -> None:
    """Turn the garbage collector on, and keep it from what the start has made: that stays."""
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
    gc.enable()
    await clock.sleep(_WARMING)
    from knarr.apiserver import warming

    warming.warm()
    await clock.sleep(_SETTLED)
    # What the start has left behind is given back once the first requests are answered.
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _config(arguments: argparse.Namespace, files: Files, trusted: Authorities, clock: Clock) -> ServerConfig:
    return ServerConfig(
        signing_keys=identity.signing_keys(arguments, files.signing_key),
        authentication=identity.settings(arguments, trusted, clock),
        authorization=identity.authorization(arguments),
        service_cidr=arguments.service_cidr,
        node_ports=arguments.node_ports,
        advertise_address=files.address,
        port=files.port,
        client_authority=trusted.clients.decode(),
        proxy_authority=trusted.proxies.decode(),
        identify_proxy=lambda context: context.load_cert_chain(files.proxy_client.certificate, files.proxy_client.key),
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
