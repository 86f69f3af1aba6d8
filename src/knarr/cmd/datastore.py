"""The datastore of a server, from its flags: the embedded SQLite, memory, or an etcd that several servers share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Loaded late: a server's start begins here.
    import asyncio

    from knarr.cmd.clusters import Cluster
    from knarr.storage.store import Store

#: Seconds a server waits at its start for an etcd that does not answer yet.
_PATIENCE = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a server about the datastore, named as K3s names them."""
    add_location(parser)
    parser.add_argument("--token", default="", help="secret that encrypts the cluster's keys in a shared datastore")


def add_location(parser: argparse.ArgumentParser) -> None:
    """The options about where it is."""
    parser.add_argument(
        "--datastore", choices=["sqlite", "memory", "etcd"], default="", help="default: sqlite, in the data directory"
    )
    parser.add_argument(
        "--datastore-endpoint", default="", help="of an etcd: http://HOST:PORT, https://… or unix:///PATH, several by ,"
    )
    parser.add_argument("--datastore-cafile", default="", help="authority of the etcd's certificate")
    parser.add_argument("--datastore-certfile", default="", help="client certificate for the etcd")
    parser.add_argument("--datastore-keyfile", default="", help="its key")
    parser.add_argument("--token-file", default="", help="file with the secret that encrypts a shared datastore's keys")


def is_shared(arguments: argparse.Namespace) -> bool:
    """Whether other servers may write to the same datastore."""
    return bool(arguments.datastore == "etcd" or arguments.datastore_endpoint)


def check(arguments: argparse.Namespace) -> None:
    """Refuse flags of a server that do not go together. Raises `ValueError`."""
    if arguments.datastore == "etcd" and not arguments.datastore_endpoint:
        raise ValueError("--datastore etcd needs --datastore-endpoint")
    check_location(arguments)


def check_location(arguments: argparse.Namespace) -> None:
    """Refuse a location that is none. Raises `ValueError`."""
    if arguments.datastore_endpoint:
        from knarr.storage.etcd.endpoints import parse

        if arguments.datastore not in ("", "etcd"):
            raise ValueError(f"--datastore {arguments.datastore} has no --datastore-endpoint")
        parse(arguments.datastore_endpoint)


def of_cluster(arguments: argparse.Namespace, old: Cluster | None) -> tuple[str, tuple[str, ...]]:
    """The datastore of a cluster to be made, and the flags that lead its server there; as it was unless told."""
    if not arguments.datastore and not arguments.datastore_endpoint:
        return (old.datastore, tuple(old.datastore_flags)) if old is not None else ("sqlite", ())
    found = [f"--datastore-endpoint={arguments.datastore_endpoint}"] if arguments.datastore_endpoint else []
    for name in ("datastore_cafile", "datastore_certfile", "datastore_keyfile", "token_file"):
        if path := getattr(arguments, name):
            found.append(f"--{name.replace('_', '-')}={Path(path).absolute()}")
    return arguments.datastore or "etcd", tuple(found)


def token(arguments: argparse.Namespace) -> str:
    """The secret of `--token` or `--token-file`; empty when none is given. Raises `OSError`."""
    return str(arguments.token or (Path(arguments.token_file).read_text().strip() if arguments.token_file else ""))


def identity(arguments: argparse.Namespace, name: str) -> str:
    """The server's name among those that compete for Leases: the same after each start, another for each server."""
    if not is_shared(arguments):
        return name
    import uuid

    path = arguments.data_dir / "server-id"
    if not path.exists():
        path.write_text(uuid.uuid4().hex[:8])
    return f"{name}_{path.read_text()}"


async def open_store(arguments: argparse.Namespace, stopping: asyncio.Event) -> Store:
    """Open it; an etcd that does not answer is waited for until `stopping`. Raises `StoreError`."""
    if is_shared(arguments):
        return await _etcd(arguments, stopping)
    if arguments.datastore == "memory":
        from knarr.storage.memory import MemoryStore

        return MemoryStore()
    from knarr.storage.sqlite import SqliteStore

    path = arguments.data_dir / "state.db"
    # Secrets lie in it. SQLite gives its other files the same mode.
    path.touch(mode=0o600)
    path.chmod(0o600)
    return await SqliteStore.open(path)


async def _etcd(arguments: argparse.Namespace, stopping: asyncio.Event) -> Store:
    import asyncio

    from knarr.component_base import logs
    from knarr.storage.etcd.endpoints import TlsFiles
    from knarr.storage.etcd.store import EtcdStore
    from knarr.storage.store import StoreUnavailableError

    tls = TlsFiles(arguments.datastore_cafile, arguments.datastore_certfile, arguments.datastore_keyfile)
    until = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        try:
            return await EtcdStore.open(arguments.datastore_endpoint, tls)
        except StoreUnavailableError as error:
            if stopping.is_set() or asyncio.get_running_loop().time() >= until:
                raise
            logs.get("datastore").warning("waiting for the datastore", error=error)
