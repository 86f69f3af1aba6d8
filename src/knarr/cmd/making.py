"""A cluster in the making: its record, its namespace, its sockets, and how all of it is taken back."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from knarr.cmd import clusters, datastore, encryption, members, nodens, own_etcd, supervisor, teardown
from knarr.cmd.clusters import Cluster
from knarr.cmd.ends import Ends
from knarr.cmd.members import AGENT, SERVER, SUPERVISOR
from knarr.cmd.preflight import UpError

API_PORT = 6443
#: What a cluster must have in common with the one that ran before for its pods to go on running.
_LASTING = ("data_dir", "api_only", "uplink", "cluster_cidr", "service_cidr", "datastore", "datastore_flags")
#: What a cluster keeps in its data directory, beside files of `_STORE`.
_DATA = frozenset({"admin.kubeconfig", "agent", "encryption-config.json", "etcd", "log", "server-id", "tls"})
_STORE = "state.db"


class Interrupted(Exception):
    """Somebody asked us to end before the cluster was ready."""


def claim(name: str) -> int:
    """The lock of a cluster that nobody runs, nor makes or ends just now (`members.take`). Raises `UpError`."""
    lock = members.take(name, SUPERVISOR)
    if lock is not None and not any(members.holder(name, one) for one in (SERVER, AGENT)):
        return lock
    if lock is not None:
        # Its supervisor has died this moment and is about to be started again.
        os.close(lock)
    raise UpError(f"cluster {name!r} runs already; `knarr status` shows it, `knarr down --name {name}` ends it")


class Making:
    """Makes one cluster. `lock` is that of `claim`."""

    def __init__(self, arguments: argparse.Namespace, lock: int, ends: Ends) -> None:
        self._arguments, self._lock, self._ends = arguments, lock, ends
        self._old = clusters.load(arguments.name)
        usual = Path(self._old.data_dir) if self._old else clusters.default_data_dir(arguments.name)
        self._data_dir: Path = (arguments.data_dir or usual).absolute()
        self._fresh = not self._data_dir.exists()
        self._sockets: list[socket.socket] = []
        self._supervisor: subprocess.Popen[bytes] | None = None
        self.cluster: Cluster | None = None

    def prepare(self) -> Cluster:
        """Everything up to the first process. Raises `UpError`, `NetworkError` and `OSError`."""
        self._sockets.append(_listen(self._arguments.port, self._old.port if self._old else API_PORT))
        self._check_kubeconfig()
        others = [one for one in clusters.load_all() if one.name != self._arguments.name]
        cluster = self._describe(others)
        goes_on = self._old is not None and _goes_on(self._old, cluster)
        if self._old is not None and goes_on:
            cluster = replace(cluster, slot=self._old.slot, forwarding_before=self._old.forwarding_before)
        elif self._old is not None:
            teardown.purge(self._old)
        self._make_folders(cluster)
        clusters.save(cluster)
        self.cluster = cluster
        if not cluster.api_only:
            if not goes_on:
                # A namespace that nobody wrote down is of a run that died early, or of a machine that restarted.
                nodens.remove(cluster, last_uplink=False)
                nodens.create(cluster)
            self._sockets.append(nodens.listen(cluster, API_PORT))
        self.check()
        return cluster

    def launch(self, cluster: Cluster) -> None:
        """Start the supervisor, which outlives us."""
        self._supervisor = supervisor.launch(cluster, self._lock, [one.fileno() for one in self._sockets])
        self._lock = -1
        for one in self._sockets:
            one.close()

    def supervise(self, cluster: Cluster) -> None:
        """Be the supervisor, until somebody asks us to end."""
        supervisor.supervise(cluster, self._lock, [one.fileno() for one in self._sockets], self._ends)

    def check(self) -> None:
        """Raises `Interrupted` when we were asked to end, `UpError` when the supervisor could not go on."""
        if self._ends.asked:
            raise Interrupted
        name = self._arguments.name
        if self._supervisor is not None and self._supervisor.poll() and members.holder(name, SUPERVISOR) is None:
            raise UpError("the supervisor ended")

    def take_back(self, *, keep: bool = False) -> list[str]:
        """End what was begun. Data that was there before stays, and all of it with `keep`. Returns what resisted."""
        if self.cluster is None and self._old is None:
            teardown.forget(self._arguments.name)
        if self._lock >= 0:
            os.close(self._lock)
        for one in self._sockets:
            one.close()
        if self.cluster is None:
            return []
        with teardown.taken_over(self.cluster):
            latest = clusters.load(self.cluster.name) or self.cluster
            left = teardown.purge(latest)
            if left:
                return left
            left = teardown.forget_context(latest)
            if keep or self._old is not None:
                clusters.save(replace(latest, stopped=True))
                return left
            if self._fresh:
                teardown.remove_data(latest)
            teardown.forget(latest.name)
        return left

    def _describe(self, others: list[Cluster]) -> Cluster:
        arguments = self._arguments
        for other in others:
            if Path(other.data_dir) == self._data_dir:
                raise UpError(f"{self._data_dir} belongs to cluster {other.name!r}")
        self._check_data_dir()
        kind, flags = datastore.of_cluster(arguments, self._old)
        if kind == "etcd" and not flags and (why := own_etcd.obstacle(self._data_dir)):
            raise UpError(why)
        return Cluster(
            name=arguments.name,
            slot=clusters.free_slot(others, nodens.host_routes() if arguments.uplink else ()),
            data_dir=str(self._data_dir),
            port=self._sockets[0].getsockname()[1],
            api_only=arguments.api_only,
            uplink=arguments.uplink,
            cluster_cidr=arguments.cluster_cidr,
            service_cidr=arguments.service_cidr,
            kubeconfig=str(kubeconfig_of(arguments, os.environ)[0]),
            datastore=kind,
            datastore_flags=flags,
            server_flags=self._server_flags(),
            forwarding_before=any(other.uplink for other in others) or nodens.forwarding(),
        )

    def _server_flags(self) -> tuple[str, ...]:
        """What was given for the server; as it was unless told."""
        if self._arguments.server_arg is None:
            return tuple(self._old.server_flags) if self._old else ()
        return tuple(self._arguments.server_arg)

    def _check_data_dir(self) -> None:
        """`knarr down` deletes the whole directory: nothing of somebody else's may be in it."""
        if not self._data_dir.is_dir() or (self._old is not None and Path(self._old.data_dir) == self._data_dir):
            return
        names = sorted(path.name for path in self._data_dir.iterdir())
        if foreign := [name for name in names if name not in _DATA and not name.startswith(_STORE)]:
            raise UpError(f"data directory {self._data_dir} holds {foreign[0]!r}, which is no cluster's; name another")

    def _check_kubeconfig(self) -> None:
        from knarr.component_base import kubeconfig

        path, _ = kubeconfig_of(self._arguments, os.environ)
        try:
            kubeconfig.check(path)
        except (OSError, ValueError) as error:
            first, *_ = str(error).splitlines()
            raise UpError(f"kubeconfig {first}") from error

    def _make_folders(self, cluster: Cluster) -> None:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            cluster.log_dir.mkdir(exist_ok=True)
            # Left by an earlier run it would be taken for this one's.
            cluster.admin_kubeconfig.unlink(missing_ok=True)
            if self._arguments.secrets_encryption:
                encryption.make_own(self._data_dir)
        except OSError as error:
            raise UpError(f"data directory {self._data_dir} cannot be written: {error.strerror}") from error


def kubeconfig_of(arguments: argparse.Namespace, environment: Mapping[str, str]) -> tuple[Path, tuple[int, int] | None]:
    """The kubeconfig that gets the cluster's context, and its owner: a file named by who asked, or theirs."""
    from knarr.component_base import kubeconfig

    if arguments.kubeconfig:
        return arguments.kubeconfig.absolute(), None
    path, owner = kubeconfig.invoking_user(environment)
    return path.absolute(), owner


def _goes_on(old: Cluster, new: Cluster) -> bool:
    """Whether the pods of the cluster that ran before may go on running in the new one."""
    same = all(getattr(old, name) == getattr(new, name) for name in _LASTING)
    return same and not new.api_only and nodens.exists(old)


def _listen(port: int | None, usual: int) -> socket.socket:
    """The API's socket on the host's loopback; the server inherits it, wherever it runs."""
    try:
        return socket.create_server(("127.0.0.1", usual if port is None else port), backlog=1024)
    except OSError as error:
        if port is None:
            return socket.create_server(("127.0.0.1", 0), backlog=1024)
        raise UpError(
            f"port {port} on 127.0.0.1: {os.strerror(error.errno or 0)}; --port 0 picks a free one"
        ) from error
