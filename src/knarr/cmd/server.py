"""`knarr server`: the API server, and beside it, in the same process, controllers and scheduler."""

from __future__ import annotations

import argparse
import datetime
import gc
import importlib
import ipaddress
import socket
import sys
from pathlib import Path

from knarr.cmd import audit, autoscaling_flags, datastore, encryption, identity_flags, storage_flags
from knarr.cmd.server_files import Files
from knarr.component_base import allocator
from knarr.component_base.child import Child, ChildError

API_PORT = 6443


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
    parser.add_argument("--admission-control-config-file", type=Path, help="an AdmissionConfiguration")
    parser.add_argument("--disable-admission-plugins", default="", help="plugins that are off, with commas")
    identity_flags.add_arguments(parser)
    encryption.add_arguments(parser)
    audit.add_arguments(parser)
    datastore.add_arguments(parser)
    autoscaling_flags.add_arguments(parser)
    storage_flags.add_arguments(parser)
    parser.add_argument("--log-level", default="INFO", help="least level that is logged")


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; gives the exit code."""
    allocator.map_blocks_from(192 * 1024)
    try:
        ipaddress.ip_network(arguments.service_cidr)
        first, _, last = arguments.service_node_port_range.partition("-")
        arguments.node_ports = (int(first), int(last))
        datastore.check(arguments)
        arguments.admission = _admission(arguments)
        arguments.encryption = _encryption(arguments)
        arguments.audit_policy = audit.policy_of(arguments)
    except (ValueError, OSError) as error:
        print(f"knarr server: {error}", file=sys.stderr)
        return 1
    sockets = _sockets(arguments)
    address = arguments.advertise_address or _address(arguments, sockets)
    files = Files(arguments, address, sockets[0].getsockname()[1], sockets[-1].getsockname()[1])
    # What is loaded stays: the collector need not look at it again and again. Serving turns it on.
    gc.disable()
    try:
        if not datastore.is_shared(arguments):
            _prepare(files)
    except ChildError as error:
        print(f"knarr server: certificates and kubeconfigs: {error}", file=sys.stderr)
        return 1
    from knarr.cmd import serving

    return serving.run(arguments, files, sockets)


def _admission(arguments: argparse.Namespace) -> object | None:
    """The configuration of admission; None for the usual one. Raises `ValueError`, `OSError`."""
    disabled = frozenset(filter(None, arguments.disable_admission_plugins.split(",")))
    if arguments.admission_control_config_file is None and not disabled:
        return None
    from knarr.apiserver.admission import config, plugins

    plugins.check_names(disabled)
    return config.load(arguments.admission_control_config_file, disabled)


def _encryption(arguments: argparse.Namespace) -> encryption.Encryption | None:
    """How stored objects are encrypted; None where they are not. Raises `ValueError`, `OSError`."""
    path = encryption.file_of(arguments)
    if path is None:
        return None
    try:
        return encryption.Encryption(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _prepare(files: Files) -> None:
    """Make keys and certificates while the server loads: the libraries of both take a while. Raises `ChildError`."""
    child = Child(lambda: files.prepare(datetime.datetime.now(datetime.UTC)))  # noqa: TID251 - no clock is loaded yet
    importlib.import_module("knarr.cmd.serving")
    child.join()


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
    if bound not in ("0.0.0.0", "::"):
        return bound
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # No packet is sent: connecting a datagram socket only chooses the route.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
