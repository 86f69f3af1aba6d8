"""`knarr server`: the API server, and beside it, in the same process, controllers and scheduler."""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from knarr.apiserver.connect import connectors
from knarr.apiserver.server import ApiServer, ServerConfig, build
from knarr.cmd.server_files import Files, node_name
from knarr.component_base import allocator, logs
from knarr.component_base.clock import RealClock
from knarr.component_base.http_server import HttpServer
from knarr.component_base.tasks import Tasks
from knarr.storage.store import Store

API_PORT = 6443
#: Seconds between looks at whether the certificates are due for renewal, at most.
_RENEWAL = 3600.0
_DAY = 86400.0
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
        root_ca=running.files.authority.certificate.decode(),
        cluster_cidrs=tuple(running.arguments.cluster_cidr.split(",")),
        dns_address=running.arguments.dns_address,
    )
    registry = running.api.ctx.metrics.registry
    await ControlPlane(running.api.handler, running.clock, settings, node_name(running.arguments), registry).run()


#: A component runs until it is cancelled.
Component = Callable[[Running], Awaitable[None]]
#: What runs beside the API server with `--role all`, by name, in the order it is started.
COMPONENTS: tuple[tuple[str, Component], ...] = (("control-plane", _control_plane),)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `knarr server`."""
    parser.add_argument("--data-dir", type=Path, default=Path("/var/lib/knarr"), help="where everything is kept")
    parser.add_argument("--name", default="", help="name of the cluster")
    parser.add_argument(
        "--node-name", default="", help="name of the node beside it (default: the cluster's, or the host's)"
    )
    parser.add_argument("--role", choices=["all", "apiserver"], default="all", help="what to run")
    parser.add_argument("--foreground", action="store_true", help="stay (a server always does)")
    parser.add_argument("--kubeconfig", type=Path, help="where to write the administrator's kubeconfig")
    parser.add_argument(
        "--listen-fd", type=int, action="append", default=[], help="a listening socket that is inherited"
    )
    parser.add_argument(
        "--bind-address", default="", help="address to listen on (default: all, unless a socket is inherited)"
    )
    parser.add_argument("--port", type=int, default=API_PORT, help="port to listen on; 0 picks a free one")
    parser.add_argument("--advertise-address", default="", help="address under which the cluster reaches this server")
    parser.add_argument("--cluster-cidr", default="10.42.0.0/16", help="addresses of pods")
    parser.add_argument("--service-cidr", default="10.43.0.0/16", help="addresses of Services")
    parser.add_argument("--dns-address", default="", help="ClusterIP at which nodes answer DNS (default: they do not)")
    parser.add_argument("--service-node-port-range", default="30000-32767", help="ports of NodePort Services")
    parser.add_argument("--certificate-days", type=float, default=365, help="days that certificates are good for")
    parser.add_argument("--datastore", default="sqlite", help="sqlite (in the data directory) or memory")
    parser.add_argument("--log-level", default="INFO", help="least level that is logged")


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; gives the exit code."""
    logs.configure(arguments.log_level)
    allocator.map_blocks_from(192 * 1024)
    try:
        ipaddress.ip_network(arguments.service_cidr)
        first, _, last = arguments.service_node_port_range.partition("-")
        arguments.node_ports = (int(first), int(last))
    except ValueError as error:
        print(f"knarr server: {error}", file=sys.stderr)
        return 1
    with asyncio.Runner(loop_factory=_event_loop()) as runner:
        return runner.run(_serve(arguments))


def _event_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(arguments: argparse.Namespace) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    clock = RealClock()
    sockets = _sockets(arguments)
    port = sockets[-1].getsockname()[1]
    address = arguments.advertise_address or _address(arguments, sockets)
    files = Files.prepare(arguments, address, clock.now())
    store = await _open_store(arguments)
    tasks = Tasks()
    try:
        api = await build(_config(arguments, files, address, port), store, clock)
        context, kubelets = _tls(files), _kubelet_tls(files)
        api.ctx.connectors.update(connectors.build(api.ctx.reader, kubelets))
        http = HttpServer(api.handler, context, api.quick, streams_body=connectors.streams_body)
        for sock in sockets:
            await http.listen_socket(sock)
        files.hand_out(arguments, sockets[0].getsockname()[1], address, port, clock.now())
        tasks.forever(lambda: _renew(files, context, kubelets, clock), "certificates")
        running = Running(api, files, arguments, clock)
        for name, component in COMPONENTS if arguments.role == "all" else ():
            tasks.forever(lambda component=component: component(running), name)  # type: ignore[misc]
        # What the start has made stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        _log.info("serving", address=address, port=port)
        await stopping.wait()
        _log.info("stopping")
        api.health.shutting_down = True
        await tasks.close()
        await http.close()
        await api.close()
    finally:
        await tasks.close()
        await store.close()
    return 0


def _sockets(arguments: argparse.Namespace) -> list[socket.socket]:
    """The listening sockets: inherited ones first, then the one of `--bind-address`."""
    found = [socket.socket(fileno=number) for number in arguments.listen_fd]
    if arguments.bind_address or not found:
        host = arguments.bind_address
        if host:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            found.append(socket.create_server((host, arguments.port), family=family, backlog=1024))
        elif socket.has_dualstack_ipv6():
            found.append(
                socket.create_server(("", arguments.port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True)
            )
        else:
            found.append(socket.create_server(("", arguments.port), backlog=1024))
    for sock in found:
        sock.setblocking(False)
    return found


def _address(arguments: argparse.Namespace, sockets: list[socket.socket]) -> str:
    """The address to tell the cluster when none is given: the bound one, else that of the way out."""
    bound = str(sockets[-1].getsockname()[0])
    if bound not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return bound
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # No packet is sent: connecting a datagram socket only chooses the route.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _config(arguments: argparse.Namespace, files: Files, address: str, port: int) -> ServerConfig:
    return ServerConfig(
        signing_keys=[files.signing_key],
        service_cidr=arguments.service_cidr,
        node_ports=arguments.node_ports,
        advertise_address=address,
        port=port,
        client_authority=files.authority.certificate.decode(),
        proxy_authority=files.proxy_authority.certificate.decode(),
    )


async def _open_store(arguments: argparse.Namespace) -> Store:
    if arguments.datastore == "memory":
        from knarr.storage.memory import MemoryStore

        return MemoryStore()
    from knarr.storage.sqlite import SqliteStore

    return await SqliteStore.open(arguments.data_dir / "state.db")


def _tls(files: Files) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.serving.certificate, files.serving.key)
    context.load_verify_locations(cadata=files.authority.certificate.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _kubelet_tls(files: Files) -> ssl.SSLContext:
    """For connections to kubelets: their certificates are the cluster's."""
    context = ssl.create_default_context(cadata=files.authority.certificate.decode())
    context.load_cert_chain(files.kubelet_client.certificate, files.kubelet_client.key)
    return context


async def _renew(files: Files, context: ssl.SSLContext, kubelets: ssl.SSLContext, clock: RealClock) -> None:
    """Issue certificates that are due again, for ever; new connections get the new ones."""
    while True:
        await clock.sleep(min(_RENEWAL, files.days * _DAY / 20))
        await asyncio.to_thread(files.renew, clock.now())
        context.load_cert_chain(files.serving.certificate, files.serving.key)
        kubelets.load_cert_chain(files.kubelet_client.certificate, files.kubelet_client.key)
