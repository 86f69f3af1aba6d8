"""`knarr certificate`: how long certificates last; all of them, or their authority, exchanged while a cluster runs."""

from __future__ import annotations

import argparse
import datetime
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from knarr.cmd import clusters, members
from knarr.cmd.clusters import Cluster
from knarr.component_base import kubeconfig
from knarr.component_base.certificates import KeyPair
from knarr.component_base.clock import RealClock

_PATIENCE, _PAUSE = 30.0, 0.1
#: Days that are left when a certificate is told to be near its end, as a part of its life: it is due then.
_DUE = 1 / 3


class Row(NamedTuple):
    """One certificate, for people."""

    name: str
    subject: str
    usages: str
    expires: str
    left: str
    status: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `knarr certificate`."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default=clusters.DEFAULT_NAME, help="name of the cluster")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("check", parents=[common], help="show the certificates and how long they last")
    commands.add_parser("rotate", parents=[common], help="issue all certificates anew while the cluster runs")
    one = commands.add_parser("rotate-ca", parents=[common], help="let another authority issue them from now on")
    one.add_argument("--certificate", type=Path, help="that authority's certificate (default: a new one)")
    one.add_argument("--key", type=Path, help="its key")


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    cluster = clusters.load(arguments.name)
    if cluster is None:
        return _fail(f"no cluster {arguments.name!r}")
    try:
        if arguments.command == "check":
            return _check(cluster)
        if arguments.command == "rotate-ca":
            _announce(cluster, arguments)
        _renew(cluster)
    except (OSError, ValueError) as error:
        return _fail(error)
    print("All certificates are issued anew. Whoever has a copy of a kubeconfig takes a new one when it suits.")
    return 0


def _fail(error: object) -> int:
    print(f"knarr certificate: {error}", file=sys.stderr)
    return 1


def _check(cluster: Cluster) -> int:
    now = RealClock().now()
    rows = list(_rows(Path(cluster.data_dir), now))
    for row in (Row("CERTIFICATE", "SUBJECT", "USAGES", "EXPIRES", "RESIDUAL TIME", "STATUS"), *rows):
        print(f"{row.name:<22} {row.subject:<36} {row.usages:<22} {row.expires:<21} {row.left:<14} {row.status}")
    return 1 if any(row.status == "EXPIRED" for row in rows) else 0


def _rows(data_dir: Path, now: datetime.datetime) -> Iterator[Row]:
    from cryptography import x509

    for path in sorted([*(data_dir / "tls").glob("*.crt"), *(data_dir / "agent").glob("kubelet*.crt")]):
        for number, found in enumerate(x509.load_pem_x509_certificates(path.read_bytes())):
            name = path.stem if number == 0 else f"{path.stem} ({number + 1})"
            yield _row(name, found, now)


def _row(name: str, found: object, now: datetime.datetime) -> Row:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    assert isinstance(found, x509.Certificate)
    begin, end = found.not_valid_before_utc, found.not_valid_after_utc
    subject = ",".join(str(each.value) for each in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    left = end - now
    status = "OK" if left > (end - begin) * _DUE else "DUE"
    if left <= datetime.timedelta():
        status = "EXPIRED"
    return Row(name, subject, _usages(found), end.strftime("%Y-%m-%d %H:%M UTC"), f"{left.days} days", status)


def _usages(found: object) -> str:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    assert isinstance(found, x509.Certificate)
    try:
        purposes = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return "CertSign"
    names = {ExtendedKeyUsageOID.SERVER_AUTH: "ServerAuth", ExtendedKeyUsageOID.CLIENT_AUTH: "ClientAuth"}
    return ",".join(names.get(each, each.dotted_string) for each in purposes)


def _announce(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Lay the new authority ready. Raises `ValueError`, `OSError`."""
    from knarr.component_base import succession

    if cluster.datastore_flags:
        raise ValueError("servers share the datastore, and their authority with it: this works for one server only")
    if (arguments.certificate is None) != (arguments.key is None):
        raise ValueError("--certificate and --key go together")
    _server(cluster)
    given = None
    if arguments.certificate is not None:
        given = KeyPair(arguments.certificate.read_bytes(), arguments.key.read_bytes())
    succession.announce(Path(cluster.data_dir) / "tls", "ca", RealClock().now(), given)


def _server(cluster: Cluster) -> int:
    """The server's process. Raises `ValueError`."""
    server = members.holder(cluster.name, members.SERVER)
    if server is None:
        raise ValueError(f"the server does not run; `knarr up --name {cluster.name}` renews what is due at its start")
    return server.pid


def _renew(cluster: Cluster) -> None:
    """Have the server issue everything anew, and wait for that. Raises `ValueError`, `OSError`."""
    path = cluster.admin_kubeconfig
    before = path.read_bytes()
    # The context in the kubeconfig of the person who made the cluster holds the certificate as well.
    users = Path(cluster.kubeconfig) if cluster.kubeconfig else None
    os.kill(_server(cluster), signal.SIGHUP)
    until = time.monotonic() + _PATIENCE
    while path.read_bytes() == before:
        if time.monotonic() > until:
            raise ValueError(f"the server has not issued them; see {cluster.log_dir / 'server.log'}")
        time.sleep(_PAUSE)
    if users is not None and users.exists():
        kubeconfig.renew(users, cluster.context, kubeconfig.load(path))
