"""`knarr secrets-encrypt`: encryption of Secrets at rest, turned on and off, its keys exchanged; K3s' verb.

The server takes over the configuration while it runs; one that encrypted nothing so far is started anew for `enable`.
Then every Secret is written again, so that none is left in the old form.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from knarr.apimachinery.types import Object
from knarr.cmd import clusters, members
from knarr.cmd.api import Api, Unreachable
from knarr.cmd.clusters import Cluster
from knarr.cmd.encryption import CONFIG_INFO, config_hash, own_file
from knarr.component_base import certificates
from knarr.storage.encryption import own_config

_PATIENCE, _PAUSE = 60.0, 0.1
_PAGE = 500
_CONFLICT, _GONE, _OK = 409, 404, 200
_TRIES = 20


class _Failure(Exception):
    """What to tell the one who asked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `knarr secrets-encrypt`."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default=clusters.DEFAULT_NAME, help="name of the cluster")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("status", "show whether Secrets are encrypted, and with which key"),
        ("enable", "encrypt Secrets, those there are too"),
        ("disable", "write Secrets plainly again"),
        ("rotate-keys", "encrypt all Secrets with a new key and forget the old one"),
    ):
        commands.add_parser(name, parents=[common], help=text)


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    cluster = clusters.load(arguments.name)
    if cluster is None:
        print(f"knarr secrets-encrypt: no cluster {arguments.name!r}", file=sys.stderr)
        return 1
    work = {"status": _status, "enable": _enable, "disable": _disable, "rotate-keys": _rotate}[arguments.command]
    try:
        work(cluster)
    except (_Failure, Unreachable, OSError, ValueError) as error:
        print(f"knarr secrets-encrypt: {error}", file=sys.stderr)
        return 1
    return 0


def _status(cluster: Cluster) -> None:
    path = _own(cluster)
    document = own_config.read(path) if path.exists() else None
    on = document is not None and own_config.is_enabled(document)
    print(f"Encryption Status: {'Enabled' if on else 'Disabled'}")
    if document is None:
        return
    same = config_hash(path.read_bytes()) in _in_force(cluster)
    print(f"Server Encryption Hashes: {'All hashes match' if same else 'the server has not taken it over'}")
    print("\nActive  Key Type  Name\n------  --------  ----")
    for number, key in enumerate(own_config.keys_of(document)):
        print(f" {'*' if on and number == 0 else ' '}      secretbox {key['name']}")


def _enable(cluster: Cluster) -> None:
    path = _own(cluster)
    if path.exists():
        _apply(cluster, own_config.enabled(own_config.read(path)))
    else:
        own_config.write(path, own_config.enabled(None))
        _restart_server(cluster)
        _await(cluster, path.read_bytes())
    print(f"Encryption is enabled. {_rewrite(cluster)} Secrets written.")


def _disable(cluster: Cluster) -> None:
    _apply(cluster, own_config.disabled(_existing(cluster)))
    print(f"Encryption is disabled. {_rewrite(cluster)} Secrets written.")


def _rotate(cluster: Cluster) -> None:
    old = _existing(cluster)
    if not own_config.is_enabled(old):
        raise _Failure("encryption is disabled: `knarr secrets-encrypt enable` first")
    new = own_config.rotating(old)
    _apply(cluster, new)
    written = _rewrite(cluster)
    _apply(cluster, own_config.rotated(new))
    print(f"Keys are rotated. {written} Secrets written.")


def _own(cluster: Cluster) -> Path:
    """The file of this verb. Raises `_Failure` where it cannot work."""
    if any(flag.startswith("--encryption-provider-config") for flag in cluster.server_flags):
        raise _Failure("the cluster has an --encryption-provider-config of its own: change that file")
    if cluster.datastore_flags:
        raise _Failure("servers share the datastore: give each the same file by --encryption-provider-config")
    return own_file(Path(cluster.data_dir))


def _existing(cluster: Cluster) -> Object:
    path = _own(cluster)
    if not path.exists():
        raise _Failure("encryption was never enabled: `knarr secrets-encrypt enable` does")
    return own_config.read(path)


def _apply(cluster: Cluster, document: Object) -> None:
    """Write the configuration and wait until the server works by it. Raises `_Failure`; the old one is back then."""
    path = _own(cluster)
    before = path.read_bytes()
    content = own_config.write(path, document)
    try:
        _await(cluster, content)
    except (_Failure, Unreachable):
        certificates.write_private(path, before)
        raise


def _await(cluster: Cluster, content: bytes) -> None:
    wanted, until = config_hash(content), time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        try:
            if wanted in _in_force(cluster):
                return
        except Unreachable:
            pass
        time.sleep(_PAUSE)
    raise _Failure(f"the server has not taken the configuration over; see {cluster.log_dir / 'server.log'}")


def _in_force(cluster: Cluster) -> str:
    """The metric that names the configuration in force. Raises `Unreachable`."""
    status, body = Api(cluster.admin_kubeconfig).get("/metrics", timeout=10.0)
    if status != _OK:
        raise Unreachable(f"/metrics: HTTP {status}")
    return "".join(line for line in body.decode().splitlines() if line.startswith(CONFIG_INFO))


def _restart_server(cluster: Cluster) -> None:
    """End the server: its supervisor starts it again at once."""
    server = members.holder(cluster.name, members.SERVER)
    if server is None:
        raise _Failure(f"the server does not run: `knarr up --name {cluster.name}`")
    os.kill(server.pid, signal.SIGTERM)


def _rewrite(cluster: Cluster) -> int:
    """Write every Secret as it is; gives how many there were. Raises `_Failure`, `Unreachable`."""
    api, written, after = Api(cluster.admin_kubeconfig), 0, ""
    while True:
        page = api.read(f"/api/v1/secrets?limit={_PAGE}{after}")
        for secret in page["items"]:
            written += _rewrite_one(api, secret)
        if not page["metadata"].get("continue"):
            return written
        after = f"&continue={page['metadata']['continue']}"


def _rewrite_one(api: Api, secret: Object) -> int:
    meta = secret["metadata"]
    path = f"/api/v1/namespaces/{meta['namespace']}/secrets/{meta['name']}"
    for _ in range(_TRIES):
        status, body = api.put(path, {**secret, "kind": "Secret", "apiVersion": "v1"})
        if status == _OK:
            return 1
        if status == _CONFLICT:
            status, _body = api.get(path)
            if status == _OK:
                secret = api.read(path)
        if status == _GONE:
            return 0
        if status not in (_OK, _CONFLICT):
            raise _Failure(f"{path}: HTTP {status}: {body[:300].decode(errors='replace')}")
    raise _Failure(f"{path}: is changed all the time")
